//! What a picture is made of. Drawing code knows these few marks and nothing about weights.

use serde::{Serialize, Serializer};

/// Values of a mark. Serialised with six significant digits, and `null` where there is no number, which
/// is drawn as a gap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers(pub Vec<f64>);

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|&value| Number(value)))
    }
}

impl<T: Into<f64>> FromIterator<T> for Numbers {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().map(Into::into).collect())
    }
}

/// One value; see [`Numbers`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        if !value.is_finite() {
            return serializer.serialize_none();
        }
        if value == value.trunc() && value.abs() < 2f64.powi(53) {
            return serializer.serialize_i64(value as i64);
        }
        serializer.serialize_f64(crate::report::number::significant(value))
    }
}

/// What a colour means; the drawing side holds one colour for each in light and in dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// The thing looked at.
    Main,
    /// A reference to hold it against: a fitted normal, a noise level.
    Reference,
    /// What else there is: siblings, all others.
    Quiet,
    /// Something a person should look at.
    Alarm,
    /// One of several equal things, told apart by number.
    Nth(u32),
}

/// How an axis counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By factors; values that are not positive are gaps.
    Log,
    /// In whole numbers: layers, heads, steps.
    Whole,
    /// By name: position i carries the i-th label.
    Named {
        /// The labels.
        labels: Vec<String>,
    },
}

/// One axis of a panel.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    /// How it counts.
    pub scale: Scale,
    /// Where it must begin, else where the values do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Where it must end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

impl Axis {
    /// An even axis.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// An axis by factors.
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Log, ..Self::default() }
    }

    /// An axis of whole numbers.
    pub fn whole(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Whole, ..Self::default() }
    }

    /// An axis of names.
    pub fn named(label: impl Into<String>, labels: Vec<String>) -> Self {
        Self { label: label.into(), scale: Scale::Named { labels }, ..Self::default() }
    }

    /// The same axis from `low` on.
    pub fn from(mut self, low: f64) -> Self {
        self.low = Some(low);
        self
    }

    /// The same axis up to `high`.
    pub fn to(mut self, high: f64) -> Self {
        self.high = Some(high);
        self
    }
}

/// Which colours a heat map runs through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ramp {
    /// Two hues with zero in the middle.
    Diverging,
    /// From little to much.
    Sequential,
}

/// What is drawn in a panel.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mark {
    /// A line through points in order.
    Line {
        /// Name in the legend; empty for none.
        name: String,
        /// Positions.
        x: Numbers,
        /// Values.
        y: Numbers,
        /// Colour.
        tone: Tone,
        /// Drawn with gaps.
        dashed: bool,
    },
    /// Separate points.
    Points {
        /// Name in the legend; empty for none.
        name: String,
        /// Positions.
        x: Numbers,
        /// Values.
        y: Numbers,
        /// What each point is, shown on hover; empty or as long as `x`.
        labels: Vec<String>,
        /// Colour.
        tone: Tone,
    },
    /// Bars from zero, side by side where there are several sets.
    Bars {
        /// Name in the legend; empty for none.
        name: String,
        /// Positions.
        x: Numbers,
        /// Heights.
        y: Numbers,
        /// Colour.
        tone: Tone,
    },
    /// Bars between edges: one more edge than heights.
    Histogram {
        /// Name in the legend; empty for none.
        name: String,
        /// Edges, ascending.
        edges: Numbers,
        /// Heights.
        heights: Numbers,
        /// Colour.
        tone: Tone,
    },
    /// The space between two lines.
    Band {
        /// Name in the legend; empty for none.
        name: String,
        /// Positions.
        x: Numbers,
        /// Lower line.
        low: Numbers,
        /// Upper line.
        high: Numbers,
        /// Colour.
        tone: Tone,
    },
    /// A matrix as colours. Row 0 is at the top.
    Heat {
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
        /// `rows × columns` values in row-major order.
        values: Numbers,
        /// Colours.
        ramp: Ramp,
        /// Value of the first colour.
        low: f64,
        /// Value of the last colour.
        high: f64,
        /// What the values are.
        label: String,
        /// First and one past the last row as the axis counts them.
        y: [f64; 2],
        /// First and one past the last column as the axis counts them.
        x: [f64; 2],
        /// Position of each column on the x axis where they are not evenly spaced, such as steps.
        #[serde(skip_serializing_if = "Option::is_none")]
        at: Option<Numbers>,
    },
    /// Box plots: smallest, lower quartile, median, upper quartile, largest; with a violin around each
    /// where its outline is known.
    Boxes {
        /// Positions.
        x: Numbers,
        /// Five numbers each.
        five: Vec<[f64; 5]>,
        /// Outline of each violin: (value, width relative to the widest).
        outlines: Vec<Vec<[f64; 2]>>,
        /// Colour.
        tone: Tone,
    },
    /// Which things join at which height. Things are 0 to n - 1, the i-th join makes thing n + i.
    Tree {
        /// Names of the things.
        labels: Vec<String>,
        /// (thing, thing, height).
        joins: Vec<(usize, usize, f64)>,
        /// Colour.
        tone: Tone,
    },
    /// Shares of a whole.
    Shares {
        /// Names.
        labels: Vec<String>,
        /// Sizes.
        values: Numbers,
        /// Colours.
        tones: Vec<Tone>,
    },
    /// A line across the panel at one value of x or y.
    Rule {
        /// Which axis the value is on.
        axis: Side,
        /// The value.
        at: f64,
        /// What it marks.
        label: String,
        /// Colour.
        tone: Tone,
    },
}

/// An axis by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The horizontal one: the rule stands upright.
    X,
    /// The vertical one: the rule lies.
    Y,
}

/// Marks over two axes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Panel {
    /// Title; empty for none.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// What is drawn, back to front.
    pub marks: Vec<Mark>,
}

impl Panel {
    /// An empty panel.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self { title: title.into(), x, y, marks: Vec::new() }
    }

    /// The panel with one more mark.
    pub fn with(mut self, mark: Mark) -> Self {
        self.marks.push(mark);
        self
    }
}

/// One number that the picture rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// The number, for scripts.
    #[serde(serialize_with = "as_number")]
    pub value: f64,
    /// The number with its unit, for people.
    pub text: String,
}

fn as_number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Number(*value).serialize(serializer)
}

impl Fact {
    /// A number without a unit.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, text: crate::report::number::short(value) }
    }

    /// A number with its own wording.
    pub fn worded(name: impl Into<String>, value: f64, text: impl Into<String>) -> Self {
        Self { name: name.into(), value, text: text.into() }
    }
}

/// A small table under the picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// Column names.
    pub columns: Vec<String>,
    /// True for columns that hold numbers, which are aligned to the right.
    pub numeric: Vec<bool>,
    /// Cells.
    pub rows: Vec<Vec<String>>,
}

/// A finished picture with what it says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Its name in links and the API.
    pub id: &'static str,
    /// Title.
    pub title: String,
    /// What a person wants to know from it.
    pub question: &'static str,
    /// One sentence: what it shows here.
    pub says: String,
    /// The numbers it rests on.
    pub facts: Vec<Fact>,
    /// The pictures.
    pub panels: Vec<Panel>,
    /// The table, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
    /// Why there is no picture, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// What it was made from.
    pub basis: Basis,
    /// Tensor it is about, where a person can choose one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor: Option<String>,
    /// Tensors that can be chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What a picture was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Stored numbers: it can be drawn for any checkpoint ever weighed.
    Stored,
    /// The checkpoint's own weights: it can be drawn while the files exist.
    Weights,
}
