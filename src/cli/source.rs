//! Where a reading command gets its answer: from the store at rest, or from the daemon that holds it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::measure;
use crate::store::{self, Store};

/// `--store DIR`, as every reading command takes it.
#[derive(Clone, Debug, clap::Args)]
pub struct StoreArg {
    /// Directory of the store, as `watch` printed it
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
}

/// Whose findings are meant, as every command that changes something takes it.
#[derive(Clone, Debug, clap::Args)]
pub struct HolderArg {
    /// Directory of the store, held by a daemon or at rest [default: the only one that `watch` made by itself]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Address of the daemon that holds it, where its store is out of reach
    #[arg(long, value_name = "ADDR", conflicts_with = "store")]
    listen: Option<String>,
    /// File that holds the token with which a running daemon takes changes: its web.change_token_file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl HolderArg {
    /// The store at rest, or the daemon with the right to change.
    pub fn open(&self) -> anyhow::Result<Source> {
        let token = self.token_file.as_deref().map(|file| {
            let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
            anyhow::Ok(text.trim().to_owned())
        });
        let token = token.transpose()?;
        if let Some(address) = &self.listen {
            return Ok(Source::Daemon(Remote { address: address.clone(), token }));
        }
        let dir = self.store.clone().map_or_else(only_store, Ok)?;
        Ok(match Source::open(&dir)? {
            Source::Daemon(remote) => Source::Daemon(Remote { token, ..remote }),
            source => source,
        })
    }
}

/// Where `watch` makes stores when none is named.
pub fn state_directory() -> anyhow::Result<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))
        .context("neither XDG_STATE_HOME nor HOME is set; name the store with --store DIR")?;
    Ok(state.join("weighbridge"))
}

fn only_store() -> anyhow::Result<PathBuf> {
    let state = state_directory()?;
    let mut stores: Vec<PathBuf> = std::fs::read_dir(&state)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("lock").exists())
        .collect();
    match stores.len() {
        0 => bail!("{}: no store here; name the store with --store DIR", state.display()),
        1 => Ok(stores.remove(0)),
        count => bail!("{}: {count} stores here; name the one with --store DIR", state.display()),
    }
}

/// The store, or the daemon that has it.
pub enum Source {
    /// At rest: read it here.
    Store(Box<Store>),
    /// Held by a daemon that can be asked.
    Daemon(Remote),
}

/// A daemon that can be asked over HTTP.
pub struct Remote {
    address: String,
    /// Shown where something is to be changed.
    token: Option<String>,
}

/// How long an answer may take: a reading command never waits silently.
const ANSWER_MAX: Duration = Duration::from_secs(30);

impl Source {
    /// Opens the store, or finds out whom to ask. Never makes a store where there is none.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        if !dir.is_dir() {
            bail!("{}: no store here; `watch` and `replay` make one", dir.display());
        }
        match Store::open(dir, &measure::catalog(), &store::Settings::default()) {
            Ok(store) => Ok(Self::Store(Box::new(store))),
            Err(store::Error::Held { address: Some(address), .. }) => {
                Ok(Self::Daemon(Remote { address, token: None }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The store at rest; for what only works so.
    pub fn at_rest(dir: &Path) -> anyhow::Result<Store> {
        match Self::open(dir)? {
            Self::Store(store) => Ok(*store),
            Self::Daemon(remote) => {
                bail!(
                    "{}: held by a running daemon at http://{}; stop it first",
                    dir.display(),
                    remote.address
                )
            }
        }
    }
}

impl Remote {
    /// The text that the daemon answers at `path`, with its query.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<String> {
        let mut response = self.ask(path, query, Some(ANSWER_MAX))?;
        let limit = 1 << 30;
        Ok(response.body_mut().with_config().limit(limit).read_to_string()?)
    }

    /// The answer, which may take so long in all; what the daemon refuses is an error in its own words.
    fn ask(
        &self,
        path: &str,
        query: &[(&str, &str)],
        time_max: Option<Duration>,
    ) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
        let keys = Keys::from_environment()?;
        let url = keys.url_of(&self.address, path);
        let mut request = keys.agent(time_max)?.get(&url);
        if let Some(token) = &keys.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in query {
            request = request.query(name, value);
        }
        let refused = || format!("the daemon at {url} does not answer as asked{}", keys.hint());
        let mut response = request.call().with_context(refused)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let refusal = serde_json::from_str::<serde_json::Value>(&text).ok();
        let known = response.status() == ureq::http::StatusCode::NOT_FOUND;
        match refusal.as_ref().and_then(|refusal| refusal["error"].as_str()).filter(|_| known) {
            Some(words) => bail!("{words}"),
            None => bail!("{}: {}", refused(), response.status()),
        }
    }

    /// Writes what the daemon sends at `path` into a new file, whole or not at all.
    pub fn save(&self, path: &str, file: &Path) -> anyhow::Result<()> {
        if file.exists() {
            bail!("{}: it is there already", file.display());
        }
        // No limit on the whole: a large store takes its time, and the connection says when it ends.
        let mut response = self.ask(path, &[], None)?;
        let mut part = file.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let received = receive(&mut response.body_mut().as_reader(), &part);
        if received.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        received.with_context(|| format!("{}: the daemon's answer did not come whole", part.display()))?;
        std::fs::rename(&part, file).with_context(|| format!("{}: cannot name it", file.display()))
    }

    /// The JSON that the daemon answers to a request with the token; a refusal is an error in its words.
    pub fn json(
        &self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> anyhow::Result<serde_json::Value> {
        let keys = Keys::from_environment()?;
        let url = keys.url_of(&self.address, path);
        let mut request = ureq::http::Request::builder().method(method).uri(&url);
        if let Some(token) = self.token.as_ref().or(keys.token.as_ref()) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let text = body.map(ToString::to_string).unwrap_or_default();
        let answer = keys.agent(Some(ANSWER_MAX))?.run(request.body(text)?);
        let mut answer = answer.with_context(|| format!("the daemon at {url} does not answer"))?;
        let text = answer.body_mut().read_to_string()?;
        let json = serde_json::from_str::<serde_json::Value>(&text);
        if answer.status().is_success() {
            return Ok(json?);
        }
        let said = json.ok().and_then(|json| json["error"].as_str().map(str::to_owned));
        bail!("the daemon at {} refuses: {}", self.address, said.as_deref().unwrap_or(text.trim()))
    }
}

/// How a daemon that does not let everybody in is asked; from the environment, which `ps` does not show.
struct Keys {
    /// Where it is asked, where that is not the address that it announced: with TLS its certificate's name.
    url: Option<String>,
    token: Option<String>,
    authorities: Option<PathBuf>,
}

const URL: &str = "WEIGHBRIDGE_URL";
const TOKEN: &str = "WEIGHBRIDGE_TOKEN";
const TOKEN_FILE: &str = "WEIGHBRIDGE_TOKEN_FILE";
const AUTHORITIES: &str = "WEIGHBRIDGE_CA_FILE";

impl Keys {
    fn from_environment() -> anyhow::Result<Self> {
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let token = match given(TOKEN_FILE) {
            Some(file) => {
                let text = std::fs::read_to_string(&file).with_context(|| format!("{TOKEN_FILE} {file}"))?;
                text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
            }
            None => given(TOKEN).map(|token| token.trim().to_owned()),
        };
        Ok(Self { url: given(URL), token, authorities: given(AUTHORITIES).map(PathBuf::from) })
    }

    fn url_of(&self, address: &str, path: &str) -> String {
        match &self.url {
            Some(url) => format!("{}{path}", url.trim_end_matches('/')),
            None => format!("http://{address}{path}"),
        }
    }

    /// Asks with these keys; a whole answer may take `time_max`, its beginning [`ANSWER_MAX`]. What is refused
    /// comes as an answer, in the daemon's words.
    fn agent(&self, time_max: Option<Duration>) -> anyhow::Result<ureq::Agent> {
        let mut tls = ureq::tls::TlsConfig::builder();
        if let Some(file) = &self.authorities {
            let text = std::fs::read(file).with_context(|| format!("{AUTHORITIES} {}", file.display()))?;
            let certificates: Vec<_> = ureq::tls::parse_pem(&text)
                .filter_map(|item| match item {
                    Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            tls = tls.root_certs(ureq::tls::RootCerts::Specific(std::sync::Arc::new(certificates)));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_recv_response(Some(ANSWER_MAX))
            .timeout_global(time_max)
            .tls_config(tls.build());
        Ok(ureq::Agent::new_with_config(config.build()))
    }

    fn hint(&self) -> String {
        if self.token.is_some() {
            return String::new();
        }
        format!("; where it wants a token, give {TOKEN_FILE}, where it speaks TLS, {URL} and {AUTHORITIES}")
    }
}

fn receive(from: &mut impl std::io::Read, into: &Path) -> std::io::Result<()> {
    let mut out = std::fs::File::create(into)?;
    std::io::copy(from, &mut out)?;
    out.sync_all()
}
