//! Commands, one file each: parse, call, print, exit code.
//!
//! A command is a struct with clap's derive and a [`Run`] implementation in a file of its own, plus one
//! line in [`COMMANDS`]. Help and the list of commands come from there.

mod check;
mod check_config;
mod demo;
mod diff;
mod distance;
mod expect;
mod explain;
mod findings;
mod history;
mod inspect;
mod last_good;
mod output;
mod overlay;
mod progress;
mod reload;
mod replay;
mod report;
mod said;
mod service;
mod source;
mod store;
mod top;
mod trajectory;
mod watch;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::ArgMatches;

/// How a command ended. The numbers are part of what scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; for `watch`: drained after SIGTERM or SIGINT.
    Done = 0,
    /// Only where `--fail-on` applies: a finding at or above that severity stands.
    Findings = 1,
    /// Could not do the work.
    Failed = 2,
    /// The command line or the configuration is wrong.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// What a command is: arguments by clap's derive, a name, one line of help, and the deed.
pub trait Run: clap::Args {
    /// The word on the command line.
    const NAME: &'static str;
    /// One line of help, without a full stop.
    const ABOUT: &'static str;
    /// Does it.
    fn run(self) -> anyhow::Result<Exit>;
}

/// A registered command.
pub struct Command {
    /// The word on the command line.
    pub name: &'static str,
    build: fn() -> clap::Command,
    run: fn(&ArgMatches) -> anyhow::Result<Exit>,
}

const fn command<C: Run>() -> Command {
    Command {
        name: C::NAME,
        build: || C::augment_args(clap::Command::new(C::NAME).about(C::ABOUT)),
        run: |matches| C::from_arg_matches(matches)?.run(),
    }
}

/// All commands, in the order in which help shows them.
pub static COMMANDS: &[Command] = &[
    command::<watch::Watch>(),
    command::<demo::Demo>(),
    command::<inspect::Inspect>(),
    command::<diff::Diff>(),
    command::<check::Check>(),
    command::<replay::Replay>(),
    command::<findings::Findings>(),
    command::<said::Acknowledge>(),
    command::<said::Silence>(),
    command::<expect::Expect>(),
    command::<history::History>(),
    command::<last_good::LastGood>(),
    command::<distance::Distance>(),
    command::<trajectory::Trajectory>(),
    command::<overlay::Overlay>(),
    command::<report::Report>(),
    command::<top::Top>(),
    command::<explain::Explain>(),
    command::<check_config::CheckConfig>(),
    command::<store::StoreCommand>(),
];

/// The whole command line, as clap knows it.
pub fn command_line() -> clap::Command {
    clap::Command::new("weighbridge")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Weighs every checkpoint a training run writes: weight-health gauges, history and findings")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(COMMANDS.iter().map(|command| (command.build)()))
}

/// Runs the command that `arguments` name and says how it ended.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    crate::store::quiet_database();
    let matches = match command_line().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version come here too; a closed pipe is nobody's fault.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let Some((name, matches)) = matches.subcommand() else { return Exit::Usage };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else { return Exit::Usage };
    match (command.run)(matches) {
        Ok(exit) => exit,
        Err(error) => {
            output::error_line(&error);
            exit_of(&error)
        }
    }
}

/// What standard output can show. A pipe gets no colours and no width to keep to.
fn terminal() -> crate::report::Terminal {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok().filter(|size| size.ws_col > 0);
    let plain = crate::report::Terminal::default();
    crate::report::Terminal {
        columns: size.map_or(plain.columns, |size| size.ws_col.into()),
        rows: size.map(|size| size.ws_row.into()),
        colours: colours(),
    }
}

/// Colours are for terminals, and for those who did not say no (no-color.org).
fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn exit_of(error: &anyhow::Error) -> Exit {
    if output::is_closed_pipe(error) {
        return Exit::Done;
    }
    match error.downcast_ref::<crate::config::Error>() {
        Some(_) => Exit::Usage,
        None => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn command_line_is_consistent() {
        super::command_line().debug_assert();
    }
}
