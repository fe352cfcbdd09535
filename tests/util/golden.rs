//! Files that hold what a program printed when it was right. `UPDATE_GOLDEN=1` rewrites them; the
//! review sees the difference.

use std::path::PathBuf;

/// Path of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Compares `text` with the golden file `tests/fixtures/golden/<name>`.
#[track_caller]
pub fn check(name: &str, text: &str) {
    let path = fixture("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected == text {
        return;
    }
    let line = expected.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = line.unwrap_or_else(|| expected.lines().count().min(text.lines().count()));
    panic!(
        "{} differs from line {} on; UPDATE_GOLDEN=1 rewrites it\n  expected: {}\n  found:    {}",
        path.display(),
        line + 1,
        expected.lines().nth(line).unwrap_or("(end)"),
        text.lines().nth(line).unwrap_or("(end)"),
    );
}
