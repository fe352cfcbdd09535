//! Checking and mending: `verify`, `repair`, `stats`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::book::Manifest;
use super::changes::Changes;
use super::journal::{self, Header, Journal, Kind, PARTS, Place};
use super::read::Parts;
use super::recover::{self, lost, mended};
use super::report::{Repair, RunStats};
use super::{Damage, Error, Stats, Store, Verify, codec, keys, read};
use crate::terms::ReadingKey;

/// What a reading lost that has one copy, where its record says that something is lost and not what.
const BULK_GONE: &str = "its sketches, quantiles or spectra are gone";

impl Store {
    /// Reads everything that is stored, both copies, and says what does not read back. Changes nothing.
    pub fn verify(&self) -> Result<Verify, Error> {
        let mut verify = Verify::default();
        self.verify_journal(&mut verify)?;
        let entries: Vec<_> = self.book().readings().map(|(key, entry)| (key.clone(), *entry)).collect();
        for (key, entry) in entries {
            verify.readings += 1;
            // Bulk was checked with the journal.
            if let Err(error) = self.read(&key, entry, Parts::Small) {
                verify.damage.push(lost(Some(key), error.to_string()));
            } else if self.without_bulk(&entry) {
                verify.damage.push(lost(Some(key), BULK_GONE.to_owned()));
            }
        }
        let findings = &mut verify.findings;
        let damage = &mut verify.damage;
        let scanned = self.inner.database.scan_any(&[], |key, value| {
            let is_finding = key.first() == Some(&keys::FINDING);
            *findings += u64::from(is_finding);
            let read = value
                .and_then(|value| if is_finding { read::finding(key, &value).map(drop) } else { Ok(()) });
            if let Err(error) = read {
                // The journal has it too: a restart or `repair` puts it back.
                damage.push(mended(error.to_string()));
            }
            Ok(())
        });
        scanned.or_else(|error| {
            verify.damage.push(mended(error.to_string()));
            Ok(())
        })?;
        Ok(verify)
    }

    /// True where bulk should be there, and its commit is without.
    fn without_bulk(&self, entry: &super::book::Entry) -> bool {
        let place = self.inner.journal.place(entry.number);
        let gone = |kept: bool, part: usize| {
            kept && place.as_ref().is_some_and(|place| place.found.header.parts[part].0 == 0)
        };
        gone(entry.kept.sketches, journal::SKETCHES)
            || gone(entry.kept.quantiles, journal::QUANTILES)
            || gone(entry.kept.spectra, journal::SPECTRA)
    }

    fn verify_journal(&self, verify: &mut Verify) -> Result<(), Error> {
        let journal = &self.inner.journal;
        recover::tell_missing(journal, &self.book(), &mut verify.damage);
        let (_, noticed) = Journal::open(&self.inner.dir.join(recover::JOURNAL))?;
        recover::tell_noticed(&noticed, &mut verify.damage);
        for place in journal.places() {
            verify.commits += 1;
            let header = place.found.header;
            let number = header.number;
            let key = self.book().reading_of(number).cloned();
            match place.read() {
                Ok(decoded) if decoded.mended => {
                    let detail = format!(
                        "commit {number} in {} has a damaged chunk: it can be mended",
                        place.file.path.display()
                    );
                    verify.damage.push(Damage { key, ..mended(detail) });
                }
                Ok(decoded) => {
                    let names = ["changes", "sketches", "quantiles", "spectra"];
                    let gone = names.iter().zip(&decoded.parts).filter(|(_, part)| part.is_none());
                    for (name, _) in gone {
                        let detail = format!(
                            "commit {number} in {}: its {name} changed on disk",
                            place.file.path.display()
                        );
                        // Changes are in the database as well.
                        let whole = *name == "changes" && self.book().knows(number);
                        verify.damage.push(Damage { key: key.clone(), detail, mended: whole });
                    }
                }
                Err(error) => verify.damage.push(lost(key, error.to_string())),
            }
        }
        Ok(())
    }

    /// Makes both copies whole again as far as either has what the other lost, and writes down what neither
    /// has, so that it is told once more and then no longer.
    pub fn repair(&self) -> Result<Repair, Error> {
        let mut repair = Repair::default();
        // Reading everything once makes the database again where it needs it.
        let entries: Vec<_> = self.book().readings().map(|(key, entry)| (key.clone(), *entry)).collect();
        for (key, entry) in &entries {
            if let Err(error) = self.read_through(|| self.read(key, *entry, Parts::Small)) {
                repair.lost.push(lost(Some(key.clone()), error.to_string()));
            }
        }
        let without_bulk = self.repair_journal(&mut repair)?;
        self.write_off(&without_bulk)?;
        let aside = self.inner.dir.join(recover::SET_ASIDE);
        if aside.exists() {
            std::fs::remove_dir_all(&aside).map_err(|error| Error::io(&aside, "remove", &error))?;
        }
        self.set_damage(Vec::new());
        Ok(repair)
    }

    /// Rewrites the journal's files that need it; gives the readings that lost their bulk.
    fn repair_journal(&self, repair: &mut Repair) -> Result<BTreeMap<ReadingKey, [bool; PARTS]>, Error> {
        let _writing = self.writing();
        let journal = &self.inner.journal;
        journal.close_file();
        let (_, noticed) = Journal::open(&self.inner.dir.join(recover::JOURNAL))?;
        let mut dirty: BTreeSet<&Path> = noticed.gaps.iter().map(|(path, ..)| path.as_path()).collect();
        dirty.extend(noticed.unfinished.iter().map(|(path, ..)| path.as_path()));
        let mut without_bulk = BTreeMap::new();
        let places = journal.places();
        for path in journal.files()? {
            let of_file: Vec<_> = places.iter().filter(|place| place.file.path == path).collect();
            let mut records = Vec::new();
            let mut changed = dirty.contains(path.as_path());
            for place in of_file {
                let decoded = place.read()?;
                changed |= place.found.by_end || decoded.mended || decoded.parts.iter().any(Option::is_none);
                repair.mended += u64::from(decoded.mended || place.found.by_end);
                records.push(self.whole_record(place, decoded.parts, repair, &mut without_bulk)?);
            }
            if changed {
                journal.replace(&path, &mut records.into_iter().map(Ok))?;
            }
        }
        self.put_back_missing(repair, &mut without_bulk)?;
        Ok(without_bulk)
    }

    /// A record again: damaged changes from the database, damaged bulk left out.
    fn whole_record(
        &self,
        place: &Place,
        mut parts: [Option<Vec<u8>>; PARTS],
        repair: &mut Repair,
        without_bulk: &mut BTreeMap<ReadingKey, [bool; PARTS]>,
    ) -> Result<Vec<u8>, Error> {
        let header = place.found.header;
        let key = self.book().reading_of(header.number).cloned();
        if parts[journal::CHANGES].is_none() {
            // A commit without its changes would be missing in the database for good.
            if header.kind == Kind::Commit && !self.book().knows(header.number) {
                return Ok(self.lost_record(header.number..=header.number_last, repair));
            }
            parts[journal::CHANGES] = Some(self.changes_of(header.number)?.to_bytes());
            repair.restored += 1;
        }
        let gone = std::array::from_fn(|part| parts[part].is_none());
        if gone.contains(&true) {
            repair.lost.push(lost(key.clone(), BULK_GONE.to_owned()));
            key.and_then(|key| without_bulk.insert(key, gone));
        }
        let parts = parts.map(Option::unwrap_or_default);
        let parts = std::array::from_fn(|part| parts[part].as_slice());
        let header = Header::new(header.kind, header.number..=header.number_last, &parts);
        Ok(journal::encode(&header, &parts))
    }

    /// What the database has of a commit.
    pub(super) fn changes_of(&self, number: u64) -> Result<Changes, Error> {
        let mut changes = Changes::default();
        self.inner.database.scan_any(&[], |key, value| {
            if let Ok(value) = value
                && value.number == number
            {
                changes.put(key.to_vec(), value.to_vec());
            }
            Ok(())
        })?;
        Ok(changes)
    }

    /// Commits that the journal has not at all, from the database or as lost.
    fn put_back_missing(
        &self,
        repair: &mut Repair,
        without_bulk: &mut BTreeMap<ReadingKey, [bool; PARTS]>,
    ) -> Result<(), Error> {
        let missing = self.inner.journal.missing(self.book().head());
        let Some(&(first, _)) = missing.first() else { return Ok(()) };
        let mut records = Vec::new();
        for (first, last) in missing {
            let known: Vec<u64> = (first..=last).filter(|number| self.book().knows(*number)).collect();
            let mut next = first;
            for number in known {
                if number > next {
                    records.push(self.lost_record(next..=number - 1, repair));
                }
                let bytes = self.changes_of(number)?.to_bytes();
                let parts: [&[u8]; PARTS] = [&bytes, &[], &[], &[]];
                records.push(journal::encode(&Header::new(Kind::Commit, number..=number, &parts), &parts));
                repair.restored += 1;
                let key = self.book().reading_of(number).cloned();
                if let Some(key) = key {
                    without_bulk.insert(key, [false, true, true, true]);
                }
                next = number + 1;
            }
            if next <= last {
                records.push(self.lost_record(next..=last, repair));
            }
        }
        let path = self.inner.journal.path_for_repaired(first);
        self.inner.journal.replace(&path, &mut records.into_iter().map(Ok))
    }

    fn lost_record(&self, numbers: std::ops::RangeInclusive<u64>, repair: &mut Repair) -> Vec<u8> {
        let detail =
            format!("commits {} to {} are lost: what they held is not known", numbers.start(), numbers.end());
        repair.lost.push(lost(None, detail));
        let parts = [&[][..]; PARTS];
        journal::encode(&Header::new(Kind::Lost, numbers, &parts), &parts)
    }

    /// Writes down that readings have no bulk any more.
    fn write_off(&self, without_bulk: &BTreeMap<ReadingKey, [bool; PARTS]>) -> Result<(), Error> {
        let mut changes = Changes::default();
        for (key, gone) in without_bulk {
            let Some(mut entry) = self.book().entry(key) else { continue };
            let before = entry.kept;
            entry.kept.sketches &= !gone[journal::SKETCHES];
            entry.kept.quantiles &= !gone[journal::QUANTILES];
            entry.kept.spectra &= !gone[journal::SPECTRA];
            if entry.kept != before {
                changes.put(keys::manifest(entry.number), Manifest::Reading(entry).to_bytes());
            }
        }
        if changes.0.is_empty() { Ok(()) } else { self.put(&changes) }
    }

    /// Sizes, by run and kind. Reads the whole database, not the journal.
    pub fn stats(&self) -> Result<Stats, Error> {
        let dir = &self.inner.dir;
        let mut runs: BTreeMap<u32, RunStats> = BTreeMap::new();
        {
            let book = self.book();
            for summary in book.summaries() {
                let Some(number) = book.run(&summary.run) else { continue };
                let mut stats = empty(summary);
                for (_, entry) in book.of_run(&stats.run.clone()) {
                    let Some(place) = self.inner.journal.place(entry.number) else { continue };
                    let parts = place.found.header.parts;
                    stats.with_sketches += u64::from(entry.kept.sketches);
                    stats.sketches_bytes += parts[journal::SKETCHES].0;
                    stats.quantiles_bytes += parts[journal::QUANTILES].0;
                    stats.spectra_bytes += parts[journal::SPECTRA].0;
                }
                runs.insert(number, stats);
            }
        }
        self.inner.database.scan(&[], |key, value| {
            let Some(stats) = keys::u32_at(key, 1).and_then(|run| runs.get_mut(&run)) else { return Ok(()) };
            let bytes = (key.len() + value.len()) as u64;
            match key[0] {
                keys::COLUMN => {
                    stats.samples_bytes += bytes;
                    stats.samples += codec::column_len(value).unwrap_or(0);
                }
                keys::HEAD | keys::ROSTER | keys::ABSENCES => stats.facts_bytes += bytes,
                keys::TAPE => stats.log_bytes += bytes,
                keys::FINDING | keys::JUDGE | keys::ACKNOWLEDGED => stats.findings_bytes += bytes,
                _ => {}
            }
            Ok(())
        })?;
        let book = self.book();
        let runs: BTreeMap<_, _> = runs.into_values().map(|stats| (stats.run.clone(), stats)).collect();
        Ok(Stats {
            schema: self.schema(),
            readings: book.readings().count() as u64,
            findings: book.findings(),
            disk_bytes: disk_bytes(dir),
            journal_bytes: self.inner.journal.bytes(),
            database_bytes: disk_bytes(&dir.join(recover::DATABASE)),
            aside_bytes: disk_bytes(&dir.join(recover::SET_ASIDE))
                + disk_bytes(&dir.join(super::migrate::KEPT)),
            runs: runs.into_values().collect(),
        })
    }
}

fn empty(summary: super::RunSummary) -> RunStats {
    RunStats {
        run: summary.run,
        readings: summary.readings,
        with_sketches: 0,
        samples: 0,
        samples_bytes: 0,
        facts_bytes: 0,
        log_bytes: 0,
        findings_bytes: 0,
        sketches_bytes: 0,
        quantiles_bytes: 0,
        spectra_bytes: 0,
    }
}

/// Bytes of all files below a directory; 0 where there is none.
pub fn disk_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => disk_bytes(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
