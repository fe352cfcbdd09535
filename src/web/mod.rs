//! The HTTP side: JSON API, metrics, health and the embedded page.
