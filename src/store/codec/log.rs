//! Lines of the trainer's log. A log grows by a few lines from checkpoint to checkpoint, so lines are
//! stored once, as pieces of a tape, and a reading names its stretch of it.

use super::{Malformed, Reader, Writer};
use crate::terms::LogPoint;

const FORM: u8 = 1;

/// Writes lines: the step as a difference, a byte that says which values are there, and their bits.
pub fn write_log(points: &[LogPoint]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(FORM);
    let mut before = 0u64;
    writer.list(points, |writer, point| {
        writer.signed(point.step.wrapping_sub(before) as i64);
        before = point.step;
        let values = [point.loss, point.learning_rate, point.grad_norm];
        let there = values.iter().enumerate().map(|(bit, value)| u8::from(value.is_some()) << bit).sum();
        writer.u8(there);
        values.into_iter().flatten().for_each(|value| writer.f64(value));
    });
    writer.0
}

/// Reads lines.
pub fn read_log(bytes: &[u8]) -> Result<Vec<LogPoint>, Malformed> {
    let mut reader = Reader(bytes);
    reader.form(FORM)?;
    let mut before = 0u64;
    let points = reader.list(|reader| {
        let step = before.wrapping_add(reader.signed()? as u64);
        before = step;
        let there = reader.u8()?;
        if there > 7 {
            return Err(Malformed("log line of an unknown form"));
        }
        let mut value = |bit: u8| if there >> bit & 1 == 1 { reader.f64().map(Some) } else { Ok(None) };
        Ok(LogPoint { step, loss: value(0)?, learning_rate: value(1)?, grad_norm: value(2)? })
    })?;
    reader.end()?;
    Ok(points)
}

/// Equal to the bit: NaN equals itself here, and 0 does not equal -0.
pub fn same_points(left: &[LogPoint], right: &[LogPoint]) -> bool {
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    let one =
        |point: &LogPoint| (point.step, bits(point.loss), bits(point.learning_rate), bits(point.grad_norm));
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| one(left) == one(right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_bit_comes_back(lines: Vec<(u64, Option<u64>, Option<u64>, Option<u64>)>) {
            let points: Vec<LogPoint> = lines
                .into_iter()
                .map(|(step, loss, rate, norm)| LogPoint {
                    step,
                    loss: loss.map(f64::from_bits),
                    learning_rate: rate.map(f64::from_bits),
                    grad_norm: norm.map(f64::from_bits),
                })
                .collect();
            prop_assert!(same_points(&read_log(&write_log(&points)).unwrap(), &points));
        }
    }
}
