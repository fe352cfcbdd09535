//! Keeps sled's panics off the user's terminal. They are caught and told as what they are, damage; the line
//! that a panic prints before it is caught would only frighten.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Name of the thread that opens a database.
pub const OPENING: &str = "store-open";
/// How the names of sled's own threads begin.
const OF_SLED: &str = "sled";

/// Marks this thread as inside sled for as long as it lives.
pub struct Inside(bool);

impl Inside {
    /// Goes in.
    pub fn new() -> Self {
        Self(INSIDE.replace(true))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

/// From now on panics inside sled print nothing; all others print as before. For a program's `main`.
pub fn quiet_database() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let of_sled = thread.name().is_some_and(|name| name == OPENING || name.starts_with(OF_SLED));
            if !of_sled && !INSIDE.get() {
                usual(panic);
            }
        }));
    });
}
