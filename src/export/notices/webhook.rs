//! The generic webhook: the whole finding as JSON.

use serde_json::{Value, json};

use super::{Delivery, Notice, Notifier, post_json};

/// Version of the JSON. A field may be added without a new one.
const VERSION: u32 = 1;

/// POSTs `{"version", "id", "change", "headline", "page", "labels", "finding"}`. The id is also the header
/// `idempotency-key`.
pub struct Webhook;

impl Notifier for Webhook {
    fn write(&self, notices: &[Notice<'_>], _now_seconds: f64) -> Delivery {
        let notice = &notices[0];
        post_json("", vec![("idempotency-key", notice.id())], &message(notice))
    }
}

/// The message, also the input of commands.
pub(super) fn message(notice: &Notice<'_>) -> Value {
    json!({
        "version": VERSION,
        "id": notice.id(),
        "change": notice.change.name(),
        "headline": notice.headline(),
        "page": notice.page,
        "labels": notice.labels,
        "finding": notice.finding,
    })
}
