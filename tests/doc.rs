//! Tables in documents that are made from registries.

use std::path::Path;

/// Compares what stands between the marks with what should; `UPDATE_GOLDEN=1` rewrites it.
pub fn check(document: &str, mark: &str, want: &str) {
    let (begin, end) = (format!("<!-- {mark}: begin -->\n"), format!("<!-- {mark}: end -->"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(&begin).expect("the document has no begin mark");
    let (have, after) = rest.split_once(&end).expect("the document has no end mark");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}{begin}{want}{end}{after}")).unwrap();
    } else {
        assert_eq!(have, want, "{document} is not up to date: run this test with UPDATE_GOLDEN=1");
    }
}
