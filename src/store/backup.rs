//! Backup and restore: a backup is the journal in one file.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::journal::{self, Header, PARTS};
use super::recover::lost;
use super::report::Backup;
use super::{Error, Settings, Store, recover, schema};
use crate::terms::Catalog;

const FIRST_FILE: &str = "0000000000000001.journal";

impl Store {
    /// Writes everything that is stored into one new file, whole or not at all. Commits may go on meanwhile;
    /// those that were done when it began are in it.
    pub fn backup(&self, file: &Path) -> Result<Backup, Error> {
        let io = |error: std::io::Error| Error::io(file, "write", &error);
        if file.exists() {
            return Err(io(std::io::Error::new(std::io::ErrorKind::AlreadyExists, "it is there already")));
        }
        let mut part = file.as_os_str().to_owned();
        part.push(".part");
        let part = Path::new(&part);
        let mut out = std::io::BufWriter::new(File::create(part).map_err(io)?);
        let backup = match self.backup_to(&mut |record| out.write_all(&record)) {
            Ok(backup) => backup,
            Err(error) => {
                let _ = fs::remove_file(part);
                return Err(error);
            }
        };
        let out = out.into_inner().map_err(|error| io(error.into_error()))?;
        out.sync_all().map_err(io)?;
        fs::rename(part, file).map_err(io)?;
        if let Some(dir) = file.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            journal::sync_dir(dir)?;
        }
        Ok(backup)
    }

    /// Gives everything that is stored to `sink`, record by record: the bytes of a backup.
    pub fn backup_to(&self, sink: &mut dyn FnMut(Vec<u8>) -> std::io::Result<()>) -> Result<Backup, Error> {
        let mut backup = Backup::default();
        for place in self.inner.journal.places() {
            let old = place.found.header;
            let mut parts = place.read()?.parts;
            let key = self.book().reading_of(old.number).cloned();
            if parts[journal::CHANGES].is_none() {
                parts[journal::CHANGES] = Some(self.changes_of(old.number)?.to_bytes());
            }
            if parts.iter().any(Option::is_none) {
                backup
                    .damage
                    .push(lost(key, "its sketches, quantiles or spectra are damaged: left out".to_owned()));
            }
            let parts = parts.map(Option::unwrap_or_default);
            let parts: [&[u8]; PARTS] = std::array::from_fn(|part| parts[part].as_slice());
            let header = Header::new(old.kind, old.number..=old.number_last, &parts);
            let record = journal::encode(&header, &parts);
            backup.commits += 1;
            backup.bytes += record.len() as u64;
            sink(record).map_err(|error| Error::io(Path::new("backup"), "write", &error))?;
        }
        recover::tell_missing(&self.inner.journal, &self.book(), &mut backup.damage);
        Ok(backup)
    }

    /// Reads a backup from its first to its last byte, and says what is in it.
    pub fn check_backup(file: &Path) -> Result<Backup, Error> {
        let commits = check(file)?;
        let bytes = fs::metadata(file).map_err(|error| Error::io(file, "look at", &error))?.len();
        Ok(Backup { commits, bytes, damage: Vec::new() })
    }

    /// Makes a store in `dir`, which must be empty or not there, from a backup. Every commit is checked bit by
    /// bit before the first file is written.
    pub fn restore(file: &Path, dir: &Path, catalog: &Catalog, settings: &Settings) -> Result<Store, Error> {
        check(file)?;
        let io = |error: std::io::Error| Error::io(dir, "restore into", &error);
        fs::create_dir_all(dir).map_err(io)?;
        if fs::read_dir(dir).map_err(io)?.next().is_some() {
            return Err(io(std::io::Error::new(std::io::ErrorKind::AlreadyExists, "it is not empty")));
        }
        let journal = dir.join(recover::JOURNAL);
        fs::create_dir(&journal).map_err(io)?;
        let first = journal.join(FIRST_FILE);
        fs::copy(file, &first).map_err(io)?;
        File::open(&first).and_then(|file| file.sync_all()).map_err(io)?;
        journal::sync_dir(&journal)?;
        schema::write(dir, schema::SCHEMA)?;
        Store::open(dir, catalog, settings)
    }
}

/// Every commit of a backup reads, and nothing else is in it; gives their number.
fn check(path: &Path) -> Result<u64, Error> {
    let file = File::open(path).map_err(|error| Error::io(path, "open", &error))?;
    let scan = journal::scan(&file, path)?;
    let bad = |detail: String| Error::damaged(format!("backup {}", path.display()), detail);
    if scan.records.is_empty() {
        return Err(bad("it holds no commit".to_owned()));
    }
    if !scan.gaps.is_empty() || scan.end != scan.length {
        return Err(bad("it holds bytes that are no commit: it was cut off or changed".to_owned()));
    }
    for place in journal::places_of(path, &scan)? {
        let decoded = place.read()?;
        if decoded.parts.iter().any(Option::is_none) {
            return Err(bad(format!("commit {} changed on disk", place.found.header.number)));
        }
    }
    Ok(scan.records.len() as u64)
}
