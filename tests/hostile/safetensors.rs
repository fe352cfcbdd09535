//! Headers that lie, and files cut anywhere.

use weighbridge::tensor::limits;
use weighbridge::terms::ProblemKind::{Hostile, Malformed, Truncated};

use super::{Case, assert_problem, bytes_of, names, one_problem};

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// Two tensors, `a` of 8 bytes and `b` of 4.
pub fn whole() -> Vec<u8> {
    file(WHOLE, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
}

const WHOLE: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[2,1],"data_offsets":[8,12]}}"#;

fn open(header: &str, data: &[u8]) -> Case {
    Case::new("model.safetensors", &file(header, data))
}

#[test]
fn a_whole_file_has_no_problems() {
    let case = Case::new("model.safetensors", &whole());
    let opened = case.open();
    assert!(opened.problems.is_empty() && case.check_lengths().is_none(), "{:?}", opened.problems);
    assert_eq!(names(&opened), ["a", "b"]);
    assert_eq!(bytes_of(&opened, "b"), [9, 10, 11, 12]);
}

#[test]
fn a_cut_file_keeps_its_whole_tensors_at_every_length() {
    let bytes = whole();
    let data_begin = bytes.len() - 12;
    for length in 0..bytes.len() {
        let case = Case::new("model.safetensors", &bytes[..length]);
        let opened = case.open();
        assert_eq!(case.check_lengths().unwrap().kind, Truncated, "at {length}");
        assert!(opened.problems.iter().all(|problem| problem.kind == Truncated), "{:?}", opened.problems);
        let expected: &[&str] = if length >= data_begin + 8 { &["a"] } else { &[] };
        assert_eq!(names(&opened), expected, "at {length}");
    }
    let opened = Case::new("model.safetensors", &bytes[..bytes.len() - 1]).open();
    let last = format!(
        "model.safetensors: tensor b: data ends at byte {}, header says {}",
        bytes.len() - 1,
        bytes.len()
    );
    one_problem(&opened.problems, Truncated, &[&last]);
    assert_eq!(opened.skipped.len(), 1);
}

#[test]
fn bytes_after_the_last_tensor_are_told() {
    let mut bytes = whole();
    bytes.push(0);
    let case = Case::new("model.safetensors", &bytes);
    one_problem(&case.open().problems, Truncated, &["header says"]);
    assert_eq!(names(&case.open()), ["a", "b"]);
    assert!(case.check_lengths().is_some());
}

#[test]
fn a_name_that_is_there_twice_is_taken_once() {
    let header = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    let opened = open(header, &[7, 8]).open();
    assert_eq!(bytes_of(&opened, "a"), [7]);
    one_problem(&opened.problems, Malformed, &["tensor a", "twice"]);
}

#[test]
fn a_key_that_is_there_twice_is_refused_with_its_place() {
    let header = r#"{"a":{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,1]}}"#;
    one_problem(&open(header, &[7]).open().problems, Malformed, &["key dtype is there twice", "byte"]);
}

#[test]
fn overlapping_ranges_are_hostile() {
    let header = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#;
    let opened = open(header, &[0; 6]).open();
    assert_eq!(names(&opened), ["a"]);
    assert_problem(
        &opened.problems[opened.problems.len() - 1],
        Hostile,
        &["tensor b", "inside another tensor"],
    );
}

#[test]
fn a_hole_is_told_and_the_tensors_are_kept() {
    let header = r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}"#;
    let opened = open(header, &[0; 6]).open();
    assert_eq!(names(&opened), ["a", "b"]);
    one_problem(&opened.problems, Malformed, &["belong to no tensor"]);
}

#[test]
fn lies_about_size_cost_one_tensor() {
    let max = u64::MAX;
    for (bad, kind, text) in [
        (r#""shape":[2],"data_offsets":[0,4]"#.to_owned(), Malformed, "need 8 bytes, header gives 4"),
        (format!(r#""shape":[{max},{max}],"data_offsets":[0,4]"#), Hostile, "overflows"),
        (format!(r#""shape":[0,{max},{max}],"data_offsets":[0,0]"#), Hostile, "overflows"),
        (format!(r#""shape":[1],"data_offsets":[{},{max}]"#, max - 4), Hostile, "not a range"),
        (r#""shape":[1],"data_offsets":[4,0]"#.to_owned(), Hostile, "not a range"),
        (
            format!(r#""shape":[{}1],"data_offsets":[0,4]"#, "1,".repeat(limits::RANK_MAX)),
            Hostile,
            "dimensions",
        ),
    ] {
        let header = format!(
            r#"{{"bad":{{"dtype":"F32",{bad}}},"good":{{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}}}"#
        );
        let opened = open(&header, &[0; 6]).open();
        assert_eq!(names(&opened), ["good"], "{bad}");
        let told = opened.problems.iter().find(|problem| problem.tensor.as_deref() == Some("bad")).unwrap();
        assert_problem(told, kind, &[text]);
    }
}

#[test]
fn what_is_not_json_of_the_right_form_is_malformed() {
    let deep = format!(r#"{{"__metadata__":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    for header in [
        "{",
        r#"{"a":1}"#,
        r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,99999999999999999999999]}}"#,
        r#"{} {}"#,
        &deep,
    ] {
        one_problem(&open(header, &[0; 4]).open().problems, Malformed, &["header"]);
    }
}

#[test]
fn a_header_length_beyond_the_limit_is_hostile() {
    let mut bytes = whole();
    bytes[..8].copy_from_slice(&(limits::HEADER_BYTES_MAX + 1).to_le_bytes());
    one_problem(&Case::new("m.safetensors", &bytes).open().problems, Hostile, &["passes the limit"]);
}

#[test]
fn names_that_would_harm_are_refused_and_shown_tame() {
    for (name, text) in [
        (r"line\nbreak".to_owned(), "control characters"),
        (r"\u0000".to_owned(), "control characters"),
        (r"\u202etfel".to_owned(), "control characters"),
        ("n".repeat(limits::NAME_BYTES_MAX + 1), "the most is"),
    ] {
        let header = format!(r#"{{"{name}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
        let opened = open(&header, &[0]).open();
        assert!(names(&opened).is_empty());
        one_problem(&opened.problems, Hostile, &[text]);
        assert!(!opened.problems[0].to_string().contains(['\n', '\0', '\u{202e}']));
    }
}

#[test]
fn unknown_and_narrow_dtypes_are_listed_as_skipped() {
    let header = r#"{"a":{"dtype":"F4","shape":[2,4],"data_offsets":[0,4]},"b":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[4,7]},"c":{"dtype":"Q9","shape":[3],"data_offsets":[7,8]},"d":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}"#;
    let opened = open(header, &[0; 9]).open();
    assert_eq!(names(&opened), ["d"]);
    assert!(opened.problems.is_empty(), "{:?}", opened.problems);
    let skipped: Vec<_> = opened.skipped.iter().map(|skipped| (&*skipped.name, skipped.elements)).collect();
    assert_eq!(skipped, [("a", 8), ("b", 4), ("c", 3)]);
    assert!(opened.skipped[0].reason.contains("F4"));
}
