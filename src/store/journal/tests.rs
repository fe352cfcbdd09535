use super::*;

fn fill(dir: &Path, commits: u64) -> Journal {
    let (journal, _) = Journal::open(dir).unwrap();
    for number in journal.head() + 1..=commits {
        let changes = vec![number as u8; 300 * number as usize];
        let sketches = vec![!number as u8; 1000];
        journal.append(Kind::Commit, number..=number, &[&changes, &sketches, &[], &[]]).unwrap();
    }
    journal
}

fn check(journal: &Journal, number: u64) {
    let place = journal.place(number).unwrap();
    assert_eq!(place.part(CHANGES).unwrap(), vec![number as u8; 300 * number as usize]);
    assert_eq!(place.part(SKETCHES).unwrap(), vec![!number as u8; 1000]);
}

#[test]
fn what_is_appended_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 3);
    let journal = fill(dir.path(), 5);
    assert_eq!(journal.head(), 5);
    (1..=5).for_each(|number| check(&journal, number));
    assert!(journal.missing(5).is_empty());
    assert_eq!(journal.missing(7), [(6, 7)]);
}

#[test]
fn a_file_cut_anywhere_keeps_every_commit_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let journal = fill(dir.path(), 4);
    let path = journal.files().unwrap().remove(0);
    let ends: Vec<u64> = journal.places().iter().map(|p| p.found.offset + p.found.header.total()).collect();
    let bytes = fs::read(&path).unwrap();
    for cut in (0..bytes.len()).step_by(97) {
        fs::write(&path, &bytes[..cut]).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut as u64).count() as u64;
        let (journal, noticed) = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.head(), whole);
        assert_eq!(noticed.unfinished.is_some(), !ends.contains(&(cut as u64)) && cut > 0);
        // The next commit takes the unfinished one's place.
        let journal = fill(dir.path(), whole + 1);
        (1..=whole + 1).for_each(|number| check(&journal, number));
    }
}

#[test]
fn a_commit_with_both_headers_gone_is_a_gap_and_costs_itself_alone() {
    let dir = tempfile::tempdir().unwrap();
    let journal = fill(dir.path(), 4);
    let path = journal.files().unwrap().remove(0);
    let place = journal.place(2).unwrap().found;
    let mut bytes = fs::read(&path).unwrap();
    bytes[place.offset as usize + 3] ^= 1;
    bytes[(place.offset + place.header.total()) as usize - 100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (journal, noticed) = Journal::open(dir.path()).unwrap();
    assert_eq!(noticed.gaps, [(path, place.offset, place.offset + place.header.total())]);
    assert_eq!(journal.missing(journal.head()), [(2, 2)]);
    [1, 3, 4].into_iter().for_each(|number| check(&journal, number));
}
