//! Questions to the text of a scrape: `metric("run_step").label("run", "a").is_in(&scrape)`.

/// A question about one series of ours, or several.
#[derive(Clone, Debug)]
pub struct Question {
    name: String,
    labels: Vec<(String, String)>,
    value: Option<f64>,
}

/// Begins a question. The prefix `weighbridge_` is put before the name.
pub fn metric(name: &str) -> Question {
    Question { name: format!("weighbridge_{name}"), labels: Vec::new(), value: None }
}

impl Question {
    /// The series must have this label (and may have others).
    pub fn label(mut self, name: &str, value: impl ToString) -> Self {
        self.labels.push((name.to_owned(), value.to_string()));
        self
    }

    /// The sample must have this value.
    pub fn value(mut self, value: f64) -> Self {
        self.value = Some(value);
        self
    }

    /// Whether some sample of the scrape answers it.
    pub fn is_in(&self, scrape: &str) -> bool {
        self.all(scrape).iter().any(|&found| self.value.is_none_or(|wanted| wanted == found))
    }

    /// Value of the first sample that answers it.
    pub fn of(&self, scrape: &str) -> Option<f64> {
        self.all(scrape).first().copied()
    }

    /// Values of all samples that have the name and the labels.
    pub fn all(&self, scrape: &str) -> Vec<f64> {
        scrape
            .lines()
            .filter_map(parse)
            .filter(|sample| self.fits(sample))
            .map(|sample| sample.value)
            .collect()
    }

    fn fits(&self, sample: &Sample<'_>) -> bool {
        sample.name == self.name && self.labels.iter().all(|label| sample.labels.contains(label))
    }
}

/// One line of a scrape.
pub struct Sample<'a> {
    pub name: &'a str,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

/// The sample on that line; none for comments.
pub fn parse(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label.trim_start_matches(',').to_owned(), value));
            rest = after;
        }
        rest = &rest[1..];
    }
    Some(Sample { name, labels, value: rest.split_whitespace().next()?.parse().ok()? })
}

/// Text up to the closing quote, unescaped, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[test]
fn finds_samples_by_name_label_and_value() {
    let scrape = "# HELP weighbridge_x y\nweighbridge_x{run=\"a,b\",tensor=\"c \\\"d\\\\\\n\"} 2.5\nweighbridge_x{run=\"e\"} NaN\nweighbridge_xy 1\n";
    assert!(metric("x").label("run", "a,b").label("tensor", "c \"d\\\n").value(2.5).is_in(scrape));
    assert!(!metric("x").label("run", "a,b").value(2.0).is_in(scrape));
    assert!(metric("x").label("run", "e").of(scrape).unwrap().is_nan());
    assert_eq!(metric("xy").all(scrape), [1.0]);
    assert!(!metric("y").is_in(scrape));
}
