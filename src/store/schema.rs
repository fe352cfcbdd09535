//! Which version of keys and files a store is of: a small file, so that it can be told before anything
//! else is touched.

use std::fs;
use std::path::Path;

use super::{Error, journal};

/// Version that this program writes.
pub const SCHEMA: u32 = 2;
/// The first version; it had no file that says so.
pub const FIRST: u32 = 1;
const NAME: &str = "schema";

/// The version of the store in `dir`; none where there is no store yet.
///
/// A file that does not read is passed over: what lies beside it tells as well, and no damage must
/// make a store look newer than it is.
pub fn found(dir: &Path) -> Result<Option<u32>, Error> {
    let path = dir.join(NAME);
    match fs::read(&path) {
        Ok(bytes) => {
            if let Some(version) = parse(&bytes) {
                return Ok(Some(version));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io(&path, "read", &error)),
    }
    if dir.join(super::recover::JOURNAL).is_dir() {
        return Ok(Some(SCHEMA));
    }
    Ok(dir.join(super::recover::DATABASE).is_dir().then_some(FIRST))
}

fn text(version: u32) -> String {
    let line = format!("weighbridge store, schema {version}");
    format!("{line}, check {:08x}\n", crc32fast::hash(line.as_bytes()))
}

fn parse(bytes: &[u8]) -> Option<u32> {
    let whole = std::str::from_utf8(bytes).ok()?;
    let version = whole.strip_prefix("weighbridge store, schema ")?.split(',').next()?.parse().ok()?;
    (text(version) == whole).then_some(version)
}

/// Writes this program's version down where it is not, or does not read.
pub fn note(dir: &Path) -> Result<(), Error> {
    match fs::read(dir.join(NAME)) {
        Ok(bytes) if parse(&bytes) == Some(SCHEMA) => Ok(()),
        _ => write(dir, SCHEMA),
    }
}

/// Writes the version, whole or not at all.
pub fn write(dir: &Path, version: u32) -> Result<(), Error> {
    let path = dir.join(NAME);
    let new = dir.join("schema.new");
    let io = |error: std::io::Error| Error::io(&path, "write", &error);
    fs::write(&new, text(version)).map_err(io)?;
    fs::File::open(&new).and_then(|file| file.sync_all()).map_err(io)?;
    fs::rename(&new, &path).map_err(io)?;
    journal::sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_makes_another_version() {
        let whole = text(SCHEMA).into_bytes();
        assert_eq!(parse(&whole), Some(SCHEMA));
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&bytes), None, "bit {bit}");
        }
    }
}
