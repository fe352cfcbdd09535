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
    /// Where it reads how much may stay unused at the end of its memory before it gives that back.
    const TRIM: &str = "MALLOC_TRIM_THRESHOLD_";

    /// Left to itself glibc raises the first with every large buffer that is freed, and keeps the holes:
    /// 328 MB instead of 80 MB for a daemon on checkpoints of 498 MB. Where the first is set the second falls to
    /// 128 KiB, and memory goes back and forth with every tensor: 95,000 page faults instead of 30,000 for such a
    /// checkpoint. It reads both before `main`, so the program starts itself once more in the same process. Where
    /// that fails, it goes on as it is.
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
        let _ = command.args(arguments).env(THRESHOLD, "4194304").env(TRIM, "67108864").exec();
    }
}
