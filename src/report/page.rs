//! The files of the page and of one-file reports, inside this program.
//!
//! Plain scripts without a build step, in the order in which they are read; `draw/` turns figures into
//! pictures and is the same for both, `view/` is the page alone.

macro_rules! files {
    ($($path:literal),* $(,)?) => { concat!($(include_str!(concat!("page/", $path)), "\n"),*) };
}

/// What draws figures, and what comes after it.
macro_rules! drawing_and {
    ($($path:literal),* $(,)?) => {
        files!(
            "draw/start.js",
            "draw/element.js",
            "draw/colour.js",
            "draw/number.js",
            "draw/scale.js",
            "draw/marks.js",
            "draw/png.js",
            "draw/heat.js",
            "draw/panel.js",
            "draw/save.js",
            "draw/layout.js",
            "draw/figure.js",
            $($path),*
        )
    };
}

/// Everything that the page runs.
pub const APP: &str = drawing_and!(
    "view/api.js",
    "view/parts.js",
    "view/fleet.js",
    "view/run.js",
    "view/checkpoint.js",
    "view/tensor.js",
    "view/tiles.js",
    "view/heads.js",
    "view/finding.js",
    "view/overlay.js",
    "view/search.js",
    "view/start.js",
);

/// Everything that a one-file report runs.
pub const REPORT: &str = drawing_and!("report.js");

/// Colours, type, layout: page and report.
pub const STYLE: &str = include_str!("page/style.css");

/// The page.
pub const INDEX: &str = include_str!("page/index.html");

/// Sign in the browser's tab.
pub const ICON: &str = include_str!("page/icon.svg");

/// Inter, latin, all weights, under the SIL Open Font License (`page/OFL.txt`).
pub const FONT: &[u8] = include_bytes!("page/inter.woff2");
