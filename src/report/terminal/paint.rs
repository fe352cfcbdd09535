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
    let finite = values.iter().copied().filter(|value| value.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    spark_between(values, low, high)
}

/// The same between two given values, for lines that are compared.
pub fn spark_between(values: &[f64], low: f64, high: f64) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
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
    let lines = broken(text, room, room);
    lines.iter().map(|line| format!("{:indent$}{line}", "")).collect::<Vec<_>>().join("\n")
}

/// A line as it is where it fits into `width` characters, else broken between words, what follows after
/// `indent` spaces.
pub fn hung(line: &str, width: usize, indent: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let words = line.trim_start_matches(' ');
    let start = &line[..line.len() - words.len()];
    let lines =
        broken(words, width.saturating_sub(start.len()).max(20), width.saturating_sub(indent).max(20));
    format!("{start}{}", lines.join(&format!("\n{:indent$}", "")))
}

/// Each line as it is where it fits, else broken, what follows two deeper than the line begins.
pub fn fitted(text: &str, width: usize) -> String {
    let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
    text.lines().map(|line| hung(line, width, depth(line) + 2) + "\n").collect()
}

/// Lines of whole words, the first of at most `first` characters, the others of at most `room`. Spaces within
/// a line stay as they are; a sign such as `%` stays with its number.
fn broken(text: &str, first: usize, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let mut word = word.to_owned();
        while let Some(sign) = words.next_if(|next| next.starts_with('%')) {
            word = format!("{word} {sign}");
        }
        let room = if lines.len() == 1 { first } else { room };
        let line = lines
            .last_mut()
            .filter(|line| line.is_empty() || line.chars().count() + 1 + word.chars().count() <= room);
        match line {
            Some(line) if line.is_empty() => *line = word,
            Some(line) => {
                line.push(' ');
                line.push_str(&word);
            }
            None => {
                if let Some(full) = lines.last_mut() {
                    full.truncate(full.trim_end().len());
                }
                lines.push(word);
            }
        }
    }
    lines
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
        assert_eq!(wrapped("one two three four 5 % and six", 22, 2), "  one two three four\n  5 % and six");
    }

    #[test]
    fn long_lines_hang_under_what_they_say() {
        let label = "  cause    a scheduler that was rebuilt on a resume";
        assert_eq!(hung(label, 60, 11), label);
        let broken = "  cause    a scheduler that was\n           rebuilt on a resume";
        assert_eq!(hung(label, 31, 11), broken);
        assert_eq!(
            fitted("short\n  one two three four five six\n", 24),
            "short\n  one two three four\n    five six\n"
        );
    }

    #[test]
    fn no_colour_means_none() {
        assert_eq!(Terminal::default().heading("x"), "x");
        assert!(Terminal { colours: true, ..Terminal::default() }.heading("x").contains('\u{1b}'));
    }
}
