//! Figures and views of readings and histories: terminal, HTML, JSON.
