//! What a service manager hears.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::*;
use crate::util::{TrainingRun, wait_for};

#[test]
fn the_service_manager_hears_how_it_goes() {
    let place = Place::new();
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    run.save(10);
    let path = place.store.with_file_name("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut heard = String::new();
    let mut hear = |wanted: &str| {
        let mut buffer = [0; 4096];
        while let Ok(bytes) = socket.recv(&mut buffer) {
            heard.push_str(&String::from_utf8_lossy(&buffer[..bytes]));
        }
        heard.contains(wanted).then_some(())
    };
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "30000000")];
    let daemon = Daemon::start_in(&[&place.runs], &place.store, &[], &environment);
    wait_for("READY", || hear("READY=1\n"));
    wait_for("WATCHDOG", || hear("WATCHDOG=1\n"));
    wait_for("STATUS", || hear("STATUS=1 runs, 1 checkpoints weighed, 0 wait"));
    daemon.signal(rustix::process::Signal::HUP);
    wait_for("RELOADING", || hear("RELOADING=1\nMONOTONIC_USEC="));
    assert!(daemon.terminate().success());
    wait_for("STOPPING", || hear("STOPPING=1\n"));
}
