//! Words to the terminal: the only place that prints.

use std::io::Write;

/// One line on standard error: the error and what led to it.
pub fn error_line(error: &anyhow::Error) {
    if is_closed_pipe(error) {
        return;
    }
    let mut out = anstream::stderr().lock();
    let _ = writeln!(out, "weighbridge: {error:#}");
}

/// A remark on standard error, beside the command's real output.
pub fn remark(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Text to standard output as it is.
pub fn text(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Sentences to standard output: on a terminal broken between words, for a pipe one line each.
pub fn prose(said: &str) -> anyhow::Result<()> {
    let terminal = super::terminal();
    match terminal.rows {
        Some(_) => text(&crate::report::fitted(said, terminal.columns)),
        None => text(said),
    }
}

/// True when the reader of our output went away (`weighbridge findings | head`): no fault of ours.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
