//! Where log lines go: standard error, as text for people or JSON for machines.

use std::io::IsTerminal;
use std::str::FromStr;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

/// Form of the log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of words and fields.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(word: &str) -> Result<Self, LogError> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format(word.to_owned())),
        }
    }
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a form that we know.
    #[error("log format {0:?} is neither text nor json")]
    Format(String),
    /// Not a level or filter that we know.
    #[error("log level {0:?} is not one of error, warn, info, debug, trace, or a list of target=level")]
    Level(String),
    /// Somebody set it up before.
    #[error("logging is already set up")]
    Twice,
}

/// Sends all log lines to standard error in that form. `level` is a level (`info`) or a list of
/// `target=level`. Called once, by the program's start.
pub fn init_logging(format: LogFormat, level: &str) -> Result<(), LogError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parse(level)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let (done, turn): (_, Turn) = match format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(true).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    };
    done.map_err(|_| LogError::Twice)?;
    TURN.set(turn).map_err(|_| LogError::Twice)
}

/// Changes the filter of the running program.
type Turn = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

static TURN: OnceLock<Turn> = OnceLock::new();

/// Whether a level means something.
pub fn check_level(level: &str) -> Result<(), LogError> {
    parse(level).map(|_| ())
}

/// Goes on with another level. Without effect where logging was not set up.
pub fn set_log_level(level: &str) -> Result<(), LogError> {
    let filter = parse(level)?;
    if let Some(turn) = TURN.get() {
        let _ = turn(filter);
    }
    Ok(())
}

fn parse(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder().parse(level).map_err(|_| LogError::Level(level.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_words_that_mean_nothing() {
        assert_eq!("json".parse::<LogFormat>().unwrap(), LogFormat::Json);
        assert!("xml".parse::<LogFormat>().unwrap_err().to_string().contains("\"xml\""));
        assert!(matches!(init_logging(LogFormat::Text, "weighbridge=loud"), Err(LogError::Level(_))));
    }
}
