//! Files made by the real libraries: every tensor must equal, byte for byte, what the library itself
//! loads. The scripts beside the fixtures made both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use weighbridge::tensor::{self, Settings};
use weighbridge::terms::BlockSource;

#[derive(Deserialize)]
struct Case {
    rest: Rest,
    tensors: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Rest {
    files: Vec<PathBuf>,
    skipped: Vec<(String, u64)>,
    tied: Vec<(String, String)>,
    step: Option<u64>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<u64>,
    bytes: String,
}

/// Opens every case of a folder and compares. Cases: at least so many, lest a folder be lost.
fn check_folder(folder: &str, cases_min: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tensor").join(folder);
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    assert!(cases.len() >= cases_min, "{} has {} cases", folder.display(), cases.len());
    for path in cases {
        let case: Case = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        check(&folder, &path, &case);
    }
}

fn check(folder: &Path, path: &Path, case: &Case) {
    let title = path.file_stem().unwrap().to_string_lossy().into_owned();
    let opened = tensor::open(folder, &case.rest.files, &Settings::default());
    assert!(opened.problems.is_empty(), "{title}: {:?}", opened.problems);
    let found: BTreeMap<&str, usize> =
        opened.source.tensors().iter().enumerate().map(|(index, tensor)| (&*tensor.name, index)).collect();
    let names: Vec<&str> = found.keys().copied().collect();
    let mut expected: Vec<&str> = case.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    expected.sort_unstable();
    assert_eq!(names, expected, "{title}: names");
    for tensor in &case.tensors {
        let index = found[tensor.name.as_str()];
        let info = &opened.source.tensors()[index];
        assert_eq!(
            (info.dtype.name(), &info.shape),
            (&*tensor.dtype, &tensor.shape),
            "{title}: {}",
            tensor.name
        );
        let expected = unhex(&tensor.bytes);
        assert_eq!(info.bytes(), expected.len() as u64, "{title}: {}", tensor.name);
        for step in [expected.len(), 24, 7, 1] {
            let read = read_in_steps(&*opened.source, index, expected.len(), step.max(1));
            assert!(
                read == expected,
                "{title}: {} read in steps of {step}:\n{read:?}\n{expected:?}",
                tensor.name
            );
        }
    }
    let sorted = |mut list: Vec<(String, u64)>| {
        list.sort();
        list
    };
    let listed = opened.skipped.iter().chain(&opened.beside);
    let listed = listed.map(|skipped| (skipped.name.clone(), skipped.elements));
    let states = opened.optimizer.tensors().iter().map(|state| (state.name.to_string(), state.elements()));
    let skipped = listed.chain(states).collect();
    assert_eq!(sorted(skipped), sorted(case.rest.skipped.clone()), "{title}: skipped");
    assert!(opened.skipped.iter().all(|skipped| !skipped.reason.is_empty()));
    assert_eq!(opened.tied, case.rest.tied, "{title}: tied");
    assert_eq!(opened.step, case.rest.step, "{title}: step");
    for file in &case.rest.files {
        assert_eq!(tensor::check_lengths(&folder.join(file)), None, "{title}");
    }
}

fn read_in_steps(source: &dyn BlockSource, index: usize, len: usize, step: usize) -> Vec<u8> {
    let mut read = vec![0xa5; len];
    let mut offset = 0;
    for block in read.chunks_mut(step) {
        source.read(index, offset, block).unwrap();
        offset += block.len() as u64;
    }
    read
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn torch_zip_equals_torch() {
    check_folder("torch_zip", 20);
}

#[test]
fn torch_legacy_equals_torch() {
    check_folder("torch_legacy", 12);
}

#[test]
fn distributed_checkpoints_equal_torch() {
    check_folder("dcp", 7);
}

#[test]
fn arrays_equal_numpy() {
    check_folder("numpy", 6);
}

#[test]
fn gguf_equals_gguf() {
    check_folder("gguf", 2);
}

#[test]
fn safetensors_equal_safetensors() {
    check_folder("safetensors", 2);
}

/// The table of docs/formats.md is the registry.
#[test]
fn the_document_names_every_format() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut table = String::from("| format | usual endings | what is read |\n|---|---|---|\n");
    for format in tensor::FORMATS {
        let endings: Vec<String> = format.endings().iter().map(|ending| format!("`.{ending}`")).collect();
        table += &format!("| {} | {} | {} |\n", format.name(), endings.join(" "), format.summary());
    }
    let (begin, end) = ("<!-- formats: begin -->\n", "<!-- formats: end -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (now, after) = rest.split_once(end).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(now, table, "run again with UPDATE_GOLDEN=1");
}

#[test]
fn deepspeed_equals_deepspeed() {
    check_folder("deepspeed", 2);
}
