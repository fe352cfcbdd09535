//! The house rules that a compiler does not know: arrows between rooms, sizes, registries, words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// No source file is longer. Ask why from 400 on.
const FILE_LINES_MAX: usize = 600;

/// No file of the repository is larger: what is, is not source.
const FILE_BYTES_MAX: u64 = 4 << 20;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `directory`, but build products, history and what editors leave.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name();
        if ["target", ".git", ".venv"].iter().any(|skipped| name == *skipped) {
            continue;
        }
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    let all =
        files(&root().join("src")).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    all.map(|path| (relative(&path), fs::read_to_string(&path).unwrap())).collect()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}

/// Room of a source file: the directory below `src/`; none for lib.rs and main.rs.
fn room(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("src/")?;
    rest.split_once('/').map(|(room, _)| room)
}

/// The table of ARCHITECTURE.md: room to the rooms it may import.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("| room |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let imports = cells[2].split(',').map(|room| room.trim().to_owned()).filter(|room| room != "–");
        (cells[0].to_owned(), imports.collect())
    })
    .collect()
}

/// Rooms that a line of code names by `crate::room`.
fn named_rooms(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let after = code.split("crate::").skip(1);
    after.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn arrows_point_down() {
    let allowed = allowed();
    let rooms: BTreeSet<String> =
        sources().iter().filter_map(|(path, _)| room(path)).map(str::to_owned).collect();
    assert_eq!(rooms, allowed.keys().cloned().collect(), "the table of ARCHITECTURE.md lists every room");
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(own) = room(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            for named in named_rooms(line) {
                if rooms.contains(&named) && named != own && !allowed[own].contains(&named) {
                    wrong.push(format!("{path}:{}: {own} may not import {named}", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn walls_around_fixed_packages_stand() {
    let walls =
        [("sled::", "store"), ("serde_yaml::", "config"), ("notify::", "daemon"), ("prost::", "export")];
    for (path, text) in sources() {
        for (package, home) in walls {
            let used = text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or_default();
                code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                    .any(|word| word.starts_with(package))
            });
            assert!(
                !used || room(&path) == Some(home),
                "{path} uses {package}, which belongs to src/{home}/ alone"
            );
        }
    }
}

#[test]
fn files_stay_readable() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{path} has {lines} lines, at most {FILE_LINES_MAX}");
        let is_story = text.starts_with("//!") || path.ends_with("tests.rs");
        assert!(is_story, "{path} does not open with its story");
    }
    for path in files(&root()) {
        let bytes = fs::metadata(&path).unwrap().len();
        assert!(bytes <= FILE_BYTES_MAX, "{} has {bytes} bytes, at most {FILE_BYTES_MAX}", relative(&path));
    }
}

#[test]
fn registries_list_every_implementation() {
    let registries = [
        ("checkpoint", "Layout", "LAYOUTS"),
        ("tensor", "Format", "FORMATS"),
        ("export", "ScrapeFormat", "EXPORTERS"),
        ("export", "Notifier", "EXPORTERS"),
        ("report", "View", "VIEWS"),
        ("cli", "Command", "COMMANDS"),
    ];
    let sources = sources();
    for (own, interface, registry) in registries {
        let in_room: Vec<_> = sources.iter().filter(|(path, _)| room(path) == Some(own)).collect();
        let Some(list) =
            in_room.iter().find_map(|(_, text)| text.split(&format!("static {registry}:")).nth(1))
        else {
            continue;
        };
        let list = list.split("];").next().unwrap();
        for (path, text) in &in_room {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for rest in code.split(&format!("impl {interface} for ")).skip(1) {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                assert!(list.contains(&name), "{path}: {registry} does not list {name}");
            }
        }
    }
}

/// Detectors are statics of one type: each file has one, and the registry names the file.
#[test]
fn every_rule_is_a_detector() {
    let sources = sources();
    let list = sources.iter().find_map(|(_, text)| text.split("static DETECTORS:").nth(1)).unwrap();
    let list = list.split(';').next().unwrap();
    for (path, _) in sources.iter().filter(|(_, text)| text.contains("pub static RULE:")) {
        let name = Path::new(path).file_stem().unwrap().to_string_lossy().into_owned();
        assert!(list.contains(&format!("{name}::RULE")), "{path}: DETECTORS does not list it");
    }
}

#[test]
fn the_repository_names_no_machine_and_no_loose_end() {
    // Put together here, so that this file does not name them either.
    let banned: Vec<String> = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["FIX", "ME"],
        ["X", "XX:"],
        ["todo", "!("],
        ["<<<<", "<<<"],
    ]
    .iter()
    .map(|parts| parts.concat())
    .collect();
    let mut wrong = Vec::new();
    for path in files(&root()) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = banned.iter().find(|word| line.contains(*word)) {
                wrong.push(format!("{}:{}: {word}", relative(&path), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let pages = files(&root()).into_iter().filter(|path| path.extension().is_some_and(|e| e == "md"));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.contains(' ') {
                continue;
            }
            let target = page.parent().unwrap().join(path);
            assert!(target.exists(), "{}: link to {link}, which is not there", relative(&page));
        }
    }
}

#[test]
fn every_integration_test_is_in_the_binary() {
    let main = fs::read_to_string(root().join("tests/main.rs")).unwrap();
    for entry in fs::read_dir(root().join("tests")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_module = name.ends_with(".rs") || entry.path().join("mod.rs").exists();
        let module = name.trim_end_matches(".rs");
        if is_module && module != "main" {
            assert!(
                main.lines().any(|line| line.trim() == format!("mod {module};")),
                "tests/main.rs lacks mod {module}"
            );
        }
    }
}
