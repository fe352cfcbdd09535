//! What a terminal can show: width, colour, block characters.

use anstyle::{AnsiColor, Color, Style};

use crate::terms::Severity;

/// What the output may use. The caller knows whether it is a terminal and whether NO_COLOR is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Width in characters.
    pub columns: usize,
    /// Height in lines; none for a pipe, which has no end.
    pub rows: Option<usize>,
    /// True where colours may be used.
    pub colours: bool,
}

impl Default for Terminal {
    /// A pipe: no colour, wide enough that nothing is cut.
    fn default() -> Self {
        Self { columns: 120, rows: None, colours: false }
    }
}

impl Terminal {
    /// `text` in `style`, or as it is where colours are off.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A headline.
    pub fn heading(&self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// What matters less.
    pub fn quiet(&self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    /// Red for critical, yellow for warning, blue for info: the only meaning that colours have here.
    pub fn severity(&self, severity: Severity, text: &str) -> String {
        let colour = match severity {
            Severity::Critical => AnsiColor::Red,
            Severity::Warning => AnsiColor::Yellow,
            Severity::Info => AnsiColor::Blue,
        };
        self.paint(Style::new().fg_color(Some(Color::Ansi(colour))).bold(), text)
    }
}

/// A bar of `width` characters, filled to `ratio` in eighths of a character.
pub fn bar(ratio: f64, width: usize) -> String {
    const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
    let eighths = (ratio.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    (0..width).map(|cell| EIGHTHS[eighths.saturating_sub(cell * 8).min(8)]).collect()
}

/// One character a value, by height between the smallest and the largest; a value that is not finite is
/// a gap.
pub fn spark(values: &[f64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite = values.iter().copied().filter(|value| value.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let height = |value: f64| {
        if !value.is_finite() {
            return ' ';
        }
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        HEIGHTS[((share * 7.0).round() as usize).min(7)]
    };
    values.iter().map(|&value| height(value)).collect()
}

/// Text broken between words into lines of at most `width` characters, each after `indent` spaces.
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let room = width.saturating_sub(indent).max(20);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            lines.push(std::mem::take(&mut line));
        }
        line.push_str(if line.is_empty() { "" } else { " " });
        line.push_str(word);
    }
    lines.push(line);
    lines.iter().map(|line| format!("{:indent$}{line}", "")).collect::<Vec<_>>().join("\n")
}

/// Text that a hostile file cannot use to move the cursor: control characters become their picture.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// The last `width` characters of a name, with a mark where it was cut: ends tell tensors apart.
pub fn tail(text: &str, width: usize) -> String {
    let text = plain(text);
    let length = text.chars().count();
    if length <= width {
        return text;
    }
    std::iter::once('…').chain(text.chars().skip(length + 1 - width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_by_eighths() {
        assert_eq!(bar(0.0, 2), "  ");
        assert_eq!(bar(1.0, 2), "██");
        assert_eq!(bar(0.5, 2), "█ ");
        assert_eq!(bar(7.0, 1), "█");
    }

    #[test]
    fn sparks_leave_gaps() {
        assert_eq!(spark(&[0.0, f64::NAN, 1.0]), "▁ █");
        assert_eq!(spark(&[3.0]), "▅");
        assert_eq!(spark(&[]), "");
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(tail("h.10.attn.c_attn.weight", 8), "….weight");
        assert_eq!(tail("wpe", 8), "wpe");
    }

    #[test]
    fn words_stay_whole() {
        assert_eq!(wrapped("one two three four five six", 22, 2), "  one two three four\n  five six");
        assert_eq!(wrapped("", 22, 2), "  ");
    }

    #[test]
    fn no_colour_means_none() {
        assert_eq!(Terminal::default().heading("x"), "x");
        assert!(Terminal { colours: true, ..Terminal::default() }.heading("x").contains('\u{1b}'));
    }
}
