//! What the text formats of a scrape share: the lines of samples, and how text is escaped.

use std::fmt::{Display, Formatter, Result, Write};

use super::families::{Families, Family};

/// Writes a line for each sample of the family.
pub(super) fn write_samples<V: Display>(
    text: &mut String,
    families: &Families,
    family: &Family,
    spelt: impl Fn(f64) -> V,
) {
    for (labels, value) in families.samples(family) {
        text.push_str(&family.name);
        text.push_str(labels);
        text.push(' ');
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", spelt(value));
        text.push('\n');
    }
}

/// Text with backslash, quote and line feed escaped.
pub(super) struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        escape(f, self.0, &['\\', '"', '\n'])
    }
}

/// Text with backslash and line feed escaped, as HELP has it in Prometheus' format.
pub(super) struct EscapedHelp<'a>(pub &'a str);

impl Display for EscapedHelp<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        escape(f, self.0, &['\\', '\n'])
    }
}

fn escape(f: &mut Formatter<'_>, text: &str, special: &[char]) -> Result {
    for part in text.split_inclusive(special) {
        match part.char_indices().next_back().filter(|(_, last)| special.contains(last)) {
            None => f.write_str(part)?,
            Some((at, last)) => {
                f.write_str(&part[..at])?;
                f.write_char('\\')?;
                f.write_char(if last == '\n' { 'n' } else { last })?;
            }
        }
    }
    Ok(())
}
