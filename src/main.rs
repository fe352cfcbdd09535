//! Sets up the memory, parses, runs, exits: everything else is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    memory::give_back_what_is_freed();
    weighbridge::cli::main(std::env::args_os()).into()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod memory {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// Where glibc reads from which size on an allocation is a mapping of its own, which goes back when it is freed.
    const THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_";

    /// Left to itself glibc raises that size with every large buffer that is freed, and keeps the holes:
    /// 328 MB instead of 80 MB for a daemon on checkpoints of 498 MB. It reads the setting before `main`, so the
    /// program starts itself once more in the same process. Where that fails, it goes on as it is.
    pub fn give_back_what_is_freed() {
        if std::env::var_os(THRESHOLD).is_some() {
            return;
        }
        let Ok(program) = std::env::current_exe() else { return };
        let mut arguments = std::env::args_os();
        let mut command = Command::new(program);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        let _ = command.args(arguments).env(THRESHOLD, "4194304").exec();
    }
}
