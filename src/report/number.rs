//! Numbers as people read them: aligned, with as many digits as they are worth.

/// Rounds to six significant digits, which no picture and no table here can tell from the whole number,
/// and which keeps the JSON small.
pub fn significant(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let power = 5 - value.abs().log10().floor() as i32;
    if power.abs() > 300 {
        return value;
    }
    // Powers of ten up to 22 are exact, so most results print as short as they look.
    if power >= 0 {
        (value * 10f64.powi(power)).round() / 10f64.powi(power)
    } else {
        (value / 10f64.powi(-power)).round() * 10f64.powi(-power)
    }
}

/// A count with thin groups: `163 037 184`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A size in binary units: `1.5 MiB`.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut scaled = value as f64;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{value} B") } else { format!("{scaled:.1} {}", UNITS[unit]) }
}

/// A time of seconds since 1970 as RFC 3339, to the second. Times beyond the calendar become its end.
pub fn time(seconds: f64) -> String {
    jiff::Timestamp::from_second(seconds as i64).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// A measured value in at most nine characters: plain where that is readable, else with an exponent.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == value.trunc() && size < 1e9 {
        return format!("{value:.0}");
    }
    match size {
        _ if !(1e-4..1e6).contains(&size) => format!("{value:.2e}"),
        _ if size >= 1000.0 => format!("{value:.1}"),
        _ if size >= 100.0 => format!("{value:.2}"),
        _ if size >= 10.0 => format!("{value:.3}"),
        _ if size >= 0.01 => format!("{value:.4}"),
        _ => format!("{value:.6}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_six_digits() {
        assert_eq!(significant(0.123_456_789), 0.123_457);
        assert_eq!(significant(-1.0e-30), -1.0e-30);
        assert!(significant(f64::NAN).is_nan());
    }

    #[test]
    fn groups_and_units() {
        assert_eq!(count(163_037_184), "163\u{202f}037\u{202f}184");
        assert_eq!(count(12), "12");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(12), "12 B");
    }

    #[test]
    fn short_fits_a_column() {
        for (value, text) in
            [(0.0, "0"), (12.0, "12"), (0.090_8, "0.0908"), (1.25e-7, "1.25e-7"), (512.345, "512.35")]
        {
            assert_eq!(short(value), text);
        }
    }
}
