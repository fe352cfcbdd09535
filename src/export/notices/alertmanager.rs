//! Alertmanager's API, version 2, without Prometheus in between.
//!
//! Alertmanager knows an alert by its labels and forgets it when nobody sends it again before `endsAt`.
//! So findings that stand are sent again and again, and sending twice is harmless.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Change, Delivery, Notice, Notifier, post_json};
use crate::terms::Severity;

/// POSTs to `/api/v2/alerts` below the target's address.
pub struct Alertmanager;

/// How long an alert stands without being sent again. A daemon that is restarted or moved within an hour
/// does not make its findings look resolved.
const STANDS: Duration = Duration::from_secs(3600);

/// Alerts in one request: a message stays far below the receiver's limits.
const ALERTS_MAX: usize = 64;

impl Notifier for Alertmanager {
    fn write(&self, notices: &[Notice<'_>], now_seconds: f64) -> Delivery {
        let mut alerts = Vec::new();
        for notice in notices {
            let ends = match notice.change {
                Change::Resolved | Change::Quieted => now_seconds,
                _ => now_seconds + STANDS.as_secs_f64(),
            };
            if let Change::Raised { from } = notice.change {
                // Severity is a label, so what was told before is another alert, and it is over.
                alerts.push(alert(notice, from, now_seconds));
            }
            alerts.push(alert(notice, notice.finding.severity, ends));
        }
        post_json("/api/v2/alerts", Vec::new(), &Value::Array(alerts))
    }

    fn batch_max(&self) -> usize {
        ALERTS_MAX
    }

    fn forgets(&self) -> bool {
        true
    }
}

fn alert(notice: &Notice<'_>, severity: Severity, ends: f64) -> Value {
    let finding = notice.finding;
    let mut labels: Map<String, Value> =
        notice.labels.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let own = [
        ("alertname", "WeighbridgeFinding"),
        ("run", finding.run.as_str()),
        ("detector", &finding.detector),
        ("severity", severity.name()),
        ("finding", &finding.id.0),
    ];
    labels.extend(own.map(|(name, value)| (name.to_owned(), value.into())));
    let mut annotations = json!({
        "summary": notice.headline(),
        "cause": finding.cause,
        "remedy": finding.remedy,
        "tensors": notice.tensors(),
    });
    if let Some(step) = finding.last_good_step {
        annotations["last_good_step"] = step.to_string().into();
    }
    // A resolution must not lie before the opening, or the alert is refused: clocks differ.
    let ends = ends.max(finding.opened_at);
    let mut alert = json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": time(finding.opened_at),
        "endsAt": time(ends),
    });
    if let Some(page) = notice.page {
        alert["generatorURL"] = page.into();
    }
    alert
}

/// RFC 3339, to the millisecond. Times beyond the calendar become its end.
fn time(seconds: f64) -> String {
    Timestamp::from_millisecond((seconds * 1000.0) as i64).unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::export::notices::testing::finding;

    #[test]
    fn a_raised_finding_ends_the_alert_of_its_old_severity() {
        let (finding, labels) = (finding("f1", Severity::Critical), BTreeMap::new());
        let change = Change::Raised { from: Severity::Warning };
        let notice = Notice { finding: &finding, change, page: None, labels: &labels };
        let Delivery::Post { body, .. } = Alertmanager.write(&[notice], 1_700_000_100.0) else { panic!() };
        let alerts: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(alerts[0]["labels"]["severity"], "warning");
        assert_eq!(alerts[0]["endsAt"], "2023-11-14T22:15:00Z");
        assert_eq!(alerts[1]["labels"]["severity"], "critical");
        assert_eq!(alerts[1]["startsAt"], "2023-11-14T22:13:20Z");
        assert_eq!(alerts[1]["endsAt"], "2023-11-14T23:15:00Z");
    }
}
