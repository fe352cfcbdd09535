//! Who may ask, and who may change.
//!
//! As it comes, everybody who reaches the address may read, and nobody may change anything. With users
//! (name and bcrypt hash, as in Prometheus' web configuration) or reading tokens, every request needs
//! one of them, page and scrape alike; only whether it lives and is ready is told to all, without a word of
//! why. A change always needs a changing token, sent as
//! `Authorization: Bearer …`. A browser never adds that header by itself, so no other site can have a
//! change made in the user's name.
//!
//! Guessing is slow and costs the training job little: hashes are compared one at a time, what was right
//! once is remembered, and a name that is not known takes as long as one that is.

mod clients;
pub mod tls;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio_rustls::rustls::ServerConfig;

/// What was given for access, as text. Nothing of it shows up in logs.
#[derive(Clone, Default)]
pub struct Keys {
    /// Users by name, with the bcrypt hash of their password.
    pub users: BTreeMap<String, String>,
    /// Tokens that may read.
    pub read_tokens: Vec<String>,
    /// Tokens that may read and change.
    pub change_tokens: Vec<String>,
    /// Headers of every answer, before our own.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Speaks TLS with these certificates.
    pub tls: Option<tls::Tls>,
    /// Bounds how often anybody may ask.
    pub rate: Option<Rate>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Keys({} users, {} + {} tokens, tls {})",
            self.users.len(),
            self.read_tokens.len(),
            self.change_tokens.len(),
            self.tls.is_some()
        )
    }
}

/// One more request in every `interval`, after a burst of so many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Time that makes room for one request.
    pub interval: Duration,
    /// Requests that may come at once.
    pub burst: u32,
}

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing: its credentials are missing or wrong.
    Nobody,
    /// Read.
    Reader,
    /// Read and change.
    Changer,
}

/// The doorkeeper.
pub struct Access {
    keys: Keys,
    /// Keyed hashes of user, password and hash that were found right.
    proven: Mutex<HashSet<u64>>,
    hasher: RandomState,
    comparing: Semaphore,
    spent: Mutex<(Instant, f64)>,
}

impl Default for Access {
    fn default() -> Self {
        Self::new(Keys::default())
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}

/// Passwords that are remembered as right. More users than this at once are asked for their hash again.
const PROVEN_MAX: usize = 128;
/// The user name under which a browser may send a reading token as its password.
const TOKEN_USER: &str = "token";

impl Access {
    /// A doorkeeper who knows these keys.
    pub fn new(keys: Keys) -> Self {
        let burst = keys.rate.map_or(0.0, |rate| f64::from(rate.burst));
        Self {
            keys,
            proven: Mutex::default(),
            hasher: RandomState::new(),
            // One: two wrong passwords at once must not take both cores from the training job.
            comparing: Semaphore::new(1),
            spent: Mutex::new((Instant::now(), burst)),
        }
    }

    /// True when reading needs credentials, or a certificate of the client.
    pub fn is_guarded(&self) -> bool {
        !self.keys.users.is_empty() || !self.keys.read_tokens.is_empty() || self.asks_for_certificates()
    }

    fn asks_for_certificates(&self) -> bool {
        self.keys.tls.as_ref().is_some_and(|tls| tls.demands_trusted_client)
    }

    /// True when some token may change things.
    pub fn has_change_tokens(&self) -> bool {
        !self.keys.change_tokens.is_empty()
    }

    /// Certificates, where TLS is spoken.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.keys.tls.as_ref().map(|tls| Arc::clone(&tls.config))
    }

    /// Headers that the web configuration asks for.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.keys.headers
    }

    /// Takes one request out of the rate's bucket; false when it is empty.
    pub fn admit(&self, now: Instant) -> bool {
        let Some(rate) = self.keys.rate else { return true };
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, left) = *spent;
        let earned = now.saturating_duration_since(last).as_secs_f64() / rate.interval.as_secs_f64();
        let left = (left + earned).min(f64::from(rate.burst));
        *spent = (now, if left >= 1.0 { left - 1.0 } else { left });
        left >= 1.0
    }

    /// What a request with these headers may do.
    pub async fn standing(&self, headers: &HeaderMap) -> Standing {
        let open = if self.keys.users.is_empty() && self.keys.read_tokens.is_empty() {
            Standing::Reader
        } else {
            Standing::Nobody
        };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, rest)) = given.and_then(|value| value.trim().split_once(' ')) else { return open };
        let found = match scheme {
            _ if scheme.eq_ignore_ascii_case("bearer") => self.of_token(rest.trim()),
            _ if scheme.eq_ignore_ascii_case("basic") => self.of_password(rest.trim()).await,
            _ => Standing::Nobody,
        };
        found.max(open)
    }

    fn of_token(&self, token: &str) -> Standing {
        let is_one = |tokens: &[String]| tokens.iter().fold(false, |found, known| found | same(known, token));
        match (is_one(&self.keys.change_tokens), is_one(&self.keys.read_tokens)) {
            (true, _) => Standing::Changer,
            (false, true) => Standing::Reader,
            (false, false) => Standing::Nobody,
        }
    }

    /// Never more than a reader: browsers send a password along wherever a link leads them.
    async fn of_password(&self, encoded: &str) -> Standing {
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok();
        let Some(text) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return Standing::Nobody;
        };
        let Some((user, password)) = text.split_once(':') else { return Standing::Nobody };
        let token = !self.keys.users.contains_key(user) && user == TOKEN_USER;
        if token && self.of_token(password) > Standing::Nobody || self.is_password(user, password).await {
            Standing::Reader
        } else {
            Standing::Nobody
        }
    }

    async fn is_password(&self, user: &str, password: &str) -> bool {
        let known = self.keys.users.get(user);
        // For an unknown name some other user's hash is compared, so that the time tells nothing.
        let Some(hash) = known.or_else(|| self.keys.users.values().next()).cloned() else { return false };
        let proof = self.hasher.hash_one((user, password, &hash));
        if known.is_some() && self.lock_proven().contains(&proof) {
            return true;
        }
        let Ok(_turn) = self.comparing.acquire().await else { return false };
        let password = password.to_owned();
        let right =
            tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false)).await;
        let right = right.unwrap_or(false) && known.is_some();
        if right {
            let mut proven = self.lock_proven();
            if proven.len() >= PROVEN_MAX {
                proven.clear();
            }
            proven.insert(proof);
        }
        right
    }

    fn lock_proven(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares without telling by the time how much of it was right.
fn same(known: &str, given: &str) -> bool {
    known.as_bytes().ct_eq(given.as_bytes()).into()
}

/// A bcrypt hash, or why it is none.
pub fn check_hash(hash: &str) -> Result<(), String> {
    hash.parse::<bcrypt::HashParts>().map(|_| ()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
