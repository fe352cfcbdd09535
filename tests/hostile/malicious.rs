//! Files that would run code under `torch.load` or `numpy.load`, or lie about what they hold: opened,
//! told, and nothing runs. `make_malicious.py` made them.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use weighbridge::tensor::{self, Settings};
use weighbridge::terms::ProblemKind;

use super::names;

#[derive(Deserialize)]
struct Case {
    file: PathBuf,
    /// Kind of the problem; `none` where the file is harmless once nothing of it is run.
    kind: String,
    /// Part of the problem's text.
    told: String,
    /// Tensors that are weighed nevertheless.
    weighed: Vec<String>,
}

fn kind_of(word: &str) -> ProblemKind {
    match word {
        "hostile" => ProblemKind::Hostile,
        "truncated" => ProblemKind::Truncated,
        "malformed" => ProblemKind::Malformed,
        "missing" => ProblemKind::Missing,
        _ => panic!("{word} is no kind"),
    }
}

#[test]
fn nothing_runs_and_a_problem_says_so() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tensor/malicious");
    let cases: Vec<Case> =
        serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    for case in &cases {
        let title = case.file.display();
        let opened = tensor::open(&folder, std::slice::from_ref(&case.file), &Settings::default());
        let texts: Vec<String> = opened.problems.iter().map(ToString::to_string).collect();
        match case.kind.as_str() {
            "none" => assert!(texts.is_empty(), "{title}: {texts:?}"),
            "any" => continue,
            word => {
                let told = |problem: &&weighbridge::terms::Problem| {
                    problem.kind == kind_of(word) && problem.to_string().contains(&case.told)
                };
                assert!(
                    opened.problems.iter().any(|problem| told(&problem)),
                    "{title}: {texts:?} lacks {:?}",
                    case.told
                );
            }
        }
        assert_eq!(names(&opened), case.weighed, "{title}: {texts:?}");
        for (index, tensor) in opened.source.tensors().iter().enumerate() {
            let mut bytes = vec![0; tensor.bytes() as usize];
            opened.source.read(index, 0, &mut bytes).unwrap();
        }
    }
    assert!(!Path::new("weighbridge-payload-ran").exists(), "a payload ran");
}
