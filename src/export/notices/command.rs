//! A command of the operator: for pagers, for scripts that hold or roll back a job.

use super::{Delivery, Needs, Notice, Notifier, webhook};

/// Runs the target's command, without a shell. The webhook's JSON is its standard input; what scripts
/// need most is in `WEIGHBRIDGE_*`. Exit status 0 means taken.
pub struct Command;

impl Notifier for Command {
    fn write(&self, notices: &[Notice<'_>], _now_seconds: f64) -> Delivery {
        let notice = &notices[0];
        let finding = notice.finding;
        let last_good = finding.last_good_step.map(|step| step.to_string()).unwrap_or_default();
        let environment = vec![
            ("WEIGHBRIDGE_ID", notice.id()),
            ("WEIGHBRIDGE_CHANGE", notice.change.name().to_owned()),
            ("WEIGHBRIDGE_RUN", finding.run.to_string()),
            ("WEIGHBRIDGE_ATTEMPT", finding.attempt.to_string()),
            ("WEIGHBRIDGE_STEP", finding.step.to_string()),
            ("WEIGHBRIDGE_SEVERITY", finding.severity.to_string()),
            ("WEIGHBRIDGE_DETECTOR", finding.detector.clone()),
            ("WEIGHBRIDGE_SUMMARY", finding.summary.clone()),
            ("WEIGHBRIDGE_LAST_GOOD_STEP", last_good),
        ];
        Delivery::Run { environment, input: webhook::message(notice).to_string() }
    }

    fn needs(&self) -> Needs {
        Needs::Command
    }
}
