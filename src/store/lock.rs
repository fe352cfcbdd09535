//! One process a store. The lock is the system's own on a file, so it goes with the process however that
//! ends; the file's text says who has it, and it is never waited for.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::Error;

const NAME: &str = "lock";

/// The held lock; dropped, it is free.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: Mutex<File>,
}

impl Lock {
    /// Takes the store in `dir`, or says at once who has it.
    pub fn take(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| Error::io(&path, "open", &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(dir, &mut file)),
            Err(TryLockError::Error(error)) => return Err(Error::io(&path, "lock", &error)),
        }
        let lock = Self { path, file: Mutex::new(file) };
        lock.announce(None)?;
        Ok(lock)
    }

    /// Writes who holds it, and where the holder can be asked.
    pub fn announce(&self, address: Option<&str>) -> Result<(), Error> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = format!("{}\n{}\n", std::process::id(), address.unwrap_or_default());
        // Written over the old text, and cut after it: on a full disk there is no new block to be had.
        let written = file
            .rewind()
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.set_len(text.len() as u64));
        written.map_err(|error| Error::io(&self.path, "write", &error))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that was forked at this very moment has the file open too.
        let file = self.file.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = file.unlock();
    }
}

fn held(dir: &Path, file: &mut File) -> Error {
    // A short read of a file that its owner may be writing: anything unclear is `unknown`.
    let mut text = String::new();
    let _ = file.take(4096).read_to_string(&mut text);
    let mut lines = text.lines();
    let pid = lines.next().filter(|pid| pid.parse::<u32>().is_ok()).unwrap_or("unknown").to_owned();
    let address = lines.next().filter(|address| !address.is_empty()).map(str::to_owned);
    Error::Held { dir: dir.to_owned(), pid, address }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        lock.announce(Some("127.0.0.1:9")).unwrap();
        let told = Lock::take(dir.path()).unwrap_err().to_string();
        assert!(told.contains(&format!("process {}", std::process::id())), "{told}");
        assert!(told.contains("127.0.0.1:9"), "{told}");
        drop(lock);
        Lock::take(dir.path()).unwrap();
    }
}
