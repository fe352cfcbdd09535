//! Slack's incoming webhook JSON, which Mattermost, Rocket.Chat and others take too.

use serde_json::json;

use super::{Change, Delivery, Notice, Notifier, post_json};
use crate::terms::Severity;

/// POSTs a headline and one attachment.
pub struct Slack;

impl Notifier for Slack {
    fn write(&self, notices: &[Notice<'_>], _now_seconds: f64) -> Delivery {
        let notice = &notices[0];
        let finding = notice.finding;
        let colour = match (notice.change, finding.severity) {
            (Change::Resolved, _) => "good",
            (_, Severity::Critical) => "danger",
            (_, Severity::Warning) => "warning",
            (_, Severity::Info) => "#888888",
        };
        let mut fields = vec![field("detector", &finding.detector, true)];
        if let Some(step) = finding.last_good_step {
            fields.push(field("last good step", &step.to_string(), true));
        }
        if !finding.tensors.is_empty() {
            fields.push(field("tensors", &notice.tensors(), false));
        }
        if notice.change != Change::Resolved {
            fields.push(field("likely cause", &finding.cause, false));
            fields.push(field("what to do", &finding.remedy, false));
        }
        let mut attachment = json!({
            "color": colour,
            "fallback": escape(&notice.headline()),
            "fields": fields,
            "ts": finding.opened_at as i64,
            "footer": format!("weighbridge {}", notice.id()),
        });
        if let Some(page) = notice.page {
            attachment["title"] = escape(finding.run.as_str()).into();
            attachment["title_link"] = page.into();
        }
        let body = json!({"text": escape(&notice.headline()), "attachments": [attachment]});
        post_json("", Vec::new(), &body)
    }
}

fn field(title: &str, value: &str, short: bool) -> serde_json::Value {
    json!({"title": title, "value": escape(value), "short": short})
}

/// The three characters that have a meaning in Slack's text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
