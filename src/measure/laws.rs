//! What must hold whatever the numbers are: laws, known null values, sick input, counted work.

use std::sync::atomic::{AtomicU64, Ordering};

use super::testing::{InMemory, Random, plan, unknown, weighed};
use super::{METRICS, Plan, weigh};
use crate::terms::{BlockSource, Dtype, Samples, SourceError, TensorInfo, TrainerState};

fn samples(source: &InMemory, threads: usize) -> Samples {
    weighed(source, None, threads).tensors.remove(0).samples
}

fn normal(seed: u64, rows: usize, columns: usize) -> Vec<f32> {
    Random(seed).normals(rows * columns, 0.02)
}

#[track_caller]
fn close(name: &str, got: f64, want: f64, relative: f64) {
    assert!((got - want).abs() <= relative * want.abs().max(1e-12), "{name}: {got} is not {want}");
}

/// Metrics of the elements alone: where they lie does not matter.
const OF_ELEMENTS: &[&str] = &[
    "mean",
    "std",
    "rms",
    "min",
    "max",
    "abs_max",
    "skewness",
    "excess_kurtosis",
    "ks_statistic",
    "q25",
    "q999",
    "moors_kurtosis",
    "l_skewness",
    "l_kurtosis",
    "std_over_mad",
    "weibull_shape",
    "hill_tail_index",
];

#[test]
fn order_of_elements_does_not_matter() {
    let values = normal(1, 96, 128);
    let mut turned = values.clone();
    turned.reverse();
    turned.rotate_left(1234);
    let (a, b) =
        (samples(&InMemory::f32(&[96, 128], &values), 1), samples(&InMemory::f32(&[96, 128], &turned), 1));
    for name in OF_ELEMENTS {
        close(name, b[name], a[name], 1e-6);
    }
}

/// Each way of weighing: sorted, streamed and in f64.
#[test]
fn without_rows_all_else_is_the_same() {
    let small = InMemory::f32(&[96, 128], &normal(7, 96, 128));
    let large = InMemory::f32(&[512, 256], &normal(8, 512, 256));
    let doubles = normal(9, 768, 512).iter().flat_map(|&x| f64::from(x).to_le_bytes()).collect();
    let wide = InMemory::one(Dtype::F64, &[768, 512], doubles);
    for source in [small, large, wide] {
        let alone = Plan { rows: false, ..plan(1) };
        let mut alone = weigh(&source, &unknown(), None, &TrainerState::default(), &alone, &());
        let mut all = weigh(&source, &unknown(), None, &TrainerState::default(), &plan(1), &());
        let (alone, all) = (alone.tensors.remove(0), all.tensors.remove(0));
        assert_eq!(alone.sketch, all.sketch);
        let of_rows = |name: &str| super::rows::DEFS.iter().any(|def| def.name == name);
        let rest: Vec<_> = all.samples.iter().filter(|(name, _)| !of_rows(name)).collect();
        assert_eq!(alone.samples.iter().collect::<Vec<_>>(), rest);
        assert!(rest.len() < all.samples.len(), "rows were measured");
    }
}

#[test]
fn scale_and_sign_act_as_they_must() {
    let values = normal(2, 96, 128);
    let of = |factor: f32| {
        let scaled: Vec<f32> = values.iter().map(|x| x * factor).collect();
        samples(&InMemory::f32(&[96, 128], &scaled), 1)
    };
    // Powers of two, so that nothing is rounded.
    let (one, eight, minus) = (of(1.0), of(8.0), of(-1.0));
    for name in ["mean", "std", "rms", "abs_max", "q05"] {
        close(name, eight[name], 8.0 * one[name], 1e-6);
    }
    for name in
        ["skewness", "excess_kurtosis", "ks_statistic", "l_kurtosis", "moors_kurtosis", "weibull_shape"]
    {
        close(name, eight[name], one[name], 1e-5);
    }
    for name in ["mean", "skewness", "l_skewness"] {
        close(name, minus[name], -one[name], 1e-5);
    }
    close("min", minus["min"], -one["max"], 0.0);
    for name in ["std", "excess_kurtosis", "ks_statistic", "l_kurtosis", "hill_tail_index"] {
        close(name, minus[name], one[name], 1e-5);
    }
}

#[test]
fn threads_and_blocks_change_only_the_last_bits() {
    // Long enough to be cut into pieces.
    let values = normal(3, 1024, 1024);
    let source = InMemory::f32(&[1024, 1024], &values);
    let (one, three) = (samples(&source, 1), samples(&source, 3));
    assert_eq!(one.len(), three.len());
    for (name, value) in &one {
        close(name, three[name], *value, 1e-6);
    }
    // Other shapes are summed in other pieces and cut into other chunks.
    for shape in [&[1 << 20][..], &[64, 16_384], &[16_384, 64], &[4, 256, 1024], &[1, 1 << 20]] {
        let other = samples(&InMemory::f32(shape, &values), 2);
        for name in OF_ELEMENTS {
            close(name, other[name], one[name], 1e-6);
        }
    }
}

/// A million samples of a law, the first table of `known_laws_have_their_known_values` in columns.
struct Law {
    name: &'static str,
    values: Vec<f32>,
    /// D, excess kurtosis, Moors' kurtosis, L-kurtosis, std over MAD, Weibull shape; NaN where nothing is promised.
    known: [f64; 6],
}

const LAW_METRICS: [(&str, f64); 6] = [
    ("ks_statistic", 0.003),
    ("excess_kurtosis", 0.0),
    ("moors_kurtosis", 0.015),
    ("l_kurtosis", 0.004),
    ("std_over_mad", 0.012),
    ("weibull_shape", 0.012),
];

/// 1,000 rows of 1,000 normal values, each row by a factor of its own whose logarithm has that deviation.
fn rows_of_scale(random: &mut Random, deviation: f64) -> Vec<f32> {
    let mut values = random.normals(1_000_000, 0.02);
    for row in values.chunks_exact_mut(1000) {
        let scale = (deviation * random.normal()).exp() as f32;
        row.iter_mut().for_each(|x| *x *= scale);
    }
    values
}

fn laws() -> Vec<Law> {
    const LEN: usize = 1_000_000;
    let mut random = Random(4);
    let gauss = random.normals(LEN, 0.02);
    let laplace = (0..LEN)
        .map(|_| {
            let u = random.uniform() - 0.5;
            (-u.signum() * (1.0 - 2.0 * u.abs()).ln() * 0.02) as f32
        })
        .collect();
    let mut zeros = random.normals(LEN, 0.02);
    zeros.iter_mut().filter(|_| random.uniform() < 0.05).for_each(|x| *x = 0.0);
    let mut student = |freedom| (0..LEN).map(|_| (random.student(freedom) * 0.02) as f32).collect();
    let (t10, t7, t5, t3) = (student(10), student(7), student(5), student(3));
    let unknown = f64::NAN;
    let law = |name, values, known| Law { name, values, known };
    vec![
        law("gauss", gauss, [0.0005, 0.0, 1.233, 0.1226, 1.0, 1.205]),
        law("laplace", laplace, [0.063, 3.0, 1.587, 0.237, 1.379, 1.001]),
        law("t10", t10, [0.017, 1.0, 1.275, 0.155, 1.079, 1.177]),
        law("t7", t7, [0.025, 2.0, 1.299, 0.170, 1.124, unknown]),
        law("t5", t5, [0.038, unknown, 1.326, 0.194, 1.198, 1.147]),
        law("t3", t3, [0.085, unknown, 1.402, 0.261, 1.507, 1.108]),
        law("5 % zeros", zeros, [0.025, 0.15, 1.345, 0.140, 1.036, unknown]),
    ]
}

/// Null values of known laws. The excess kurtosis of a sample scatters with its eighth moment, so it is held to
/// what is known of the law, a tenth.
#[test]
fn known_laws_have_their_known_values() {
    for law in laws() {
        let got = samples(&InMemory::f32(&[1000, 1000], &law.values), 2);
        for ((metric, tolerance), want) in LAW_METRICS.iter().zip(law.known) {
            let tolerance = match (*metric, law.name) {
                ("excess_kurtosis", _) => 0.03 + want.abs() / 10.0,
                // The standard deviation itself scatters where the fourth moment is infinite.
                (_, "t3") => 5.0 * tolerance,
                _ => *tolerance,
            };
            let close = want.is_nan() || (got[metric] - want).abs() <= tolerance;
            assert!(close, "{}: {metric}: {} is not {want}", law.name, got[metric]);
        }
    }
}

/// Rows of different scale look like heavy tails, until each is divided by its rms.
#[test]
fn rows_of_different_scale_are_told_from_heavy_tails() {
    let mut random = Random(5);
    for (deviation, d, tau4) in [(0.3, 0.025, 0.170), (0.6, 0.078, 0.265)] {
        let values = rows_of_scale(&mut random, deviation);
        let got = samples(&InMemory::f32(&[1000, 1000], &values), 2);
        // A thousand row scales scatter more than a million values.
        assert!((got["ks_statistic"] - d).abs() < 0.1 * d + 0.002, "{}", got["ks_statistic"]);
        assert!((got["l_kurtosis"] - tau4).abs() < 0.05 * tau4, "{}", got["l_kurtosis"]);
        assert!(got["row_normalized_ks_statistic"] < 0.002, "{}", got["row_normalized_ks_statistic"]);
        close("l_kurtosis of rows", got["row_normalized_l_kurtosis"], 0.1226, 0.01);
    }
}

#[test]
fn sick_tensors_have_a_value_or_a_reason_and_spoil_nobody() {
    let mut source = InMemory::default();
    let mut add = |name: &str, shape: &[u64], values: &[f32]| {
        source.add(name, Dtype::F32, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect());
    };
    let healthy = normal(5, 16, 16);
    let with = |index: usize, value: f32| {
        let mut values = healthy.clone();
        values[index] = value;
        values
    };
    add("nan", &[16, 16], &with(3, f32::NAN));
    add("inf", &[16, 16], &with(3, f32::INFINITY));
    add("healthy", &[16, 16], &healthy);
    add("zeros", &[16, 16], &[0.0; 256]);
    add("constant", &[16, 16], &[0.5; 256]);
    add("row", &[1, 256], &healthy);
    add("column", &[256, 1], &healthy);
    add("empty", &[0, 16], &[]);
    add("scalar", &[], &[1.5]);
    add(
        "extremes",
        &[2, 8],
        &[1e30, 1e-30, -1e30, 1e-38, 3e38, -3e38, 0.0, 1.0, 1e-45, -1e-45, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    );
    add("experts", &[4, 8, 8], &healthy);
    add("all_nan", &[4, 4], &[f32::NAN; 16]);
    let all = weighed(&source, None, 2);
    assert!(all.problems.is_empty(), "{:?}", all.problems);
    let alone = samples(&InMemory::f32(&[16, 16], &healthy), 1);
    for tensor in &all.tensors {
        let name = &*tensor.facts.name;
        for (metric, value) in &tensor.samples {
            assert!(value.is_finite(), "{name}: {metric} is {value}");
            assert!(!tensor.absent.contains_key(metric), "{name}: {metric} is there and absent");
        }
        if name == "healthy" {
            assert_eq!(tensor.samples, alone, "a sick neighbour changed it");
        }
    }
    let of = |name: &str| all.tensors.iter().find(|tensor| &*tensor.facts.name == name).unwrap();
    assert_eq!(of("nan").samples["nan_elements"], 1.0);
    assert_eq!(of("inf").samples["inf_elements"], 1.0);
    assert_eq!(of("zeros").samples["zero_elements"], 256.0);
    assert!(of("constant").absent.contains_key("ks_statistic"));
    assert!(of("all_nan").absent.contains_key("mean"));
}

#[test]
fn every_byte_is_read_at_most_twice() {
    for (rows, columns) in [(64, 64), (1024, 1024)] {
        let source = InMemory::f32(&[rows, columns], &normal(6, rows as usize, columns as usize));
        let bytes = rows * columns * 4;
        samples(&source, 2);
        let read = source.read.load(Ordering::Relaxed);
        assert!((bytes..=2 * bytes).contains(&read), "{read} bytes read of a tensor of {bytes}");
    }
}

#[test]
fn every_metric_is_documented() {
    for metric in METRICS {
        let texts = [
            metric.help,
            metric.formula,
            metric.source,
            metric.healthy,
            metric.sick,
            metric.cost,
            metric.since,
        ];
        assert!(texts.iter().all(|text| !text.is_empty()), "{} lacks a text", metric.name);
        assert!(!metric.help.ends_with('.'), "{}: a HELP line has no full stop", metric.name);
    }
    let mut names: Vec<_> = METRICS.iter().map(|metric| (metric.subject, metric.name)).collect();
    names.sort();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before, "two metrics of one name");
}

/// A tensor that is made as it is read, so that only the program's own buffers count.
struct Endless {
    infos: Vec<TensorInfo>,
    largest_read: AtomicU64,
    read: AtomicU64,
}

impl BlockSource for Endless {
    fn tensors(&self) -> &[TensorInfo] {
        &self.infos
    }

    fn read(&self, tensor: usize, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.largest_read.fetch_max(buffer.len() as u64, Ordering::Relaxed);
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        let dtype = self.infos[tensor].dtype;
        for (index, element) in buffer.chunks_exact_mut(dtype.bytes()).enumerate() {
            let position = offset / dtype.bytes() as u64 + index as u64;
            let bits = Random(position).bits();
            match dtype {
                Dtype::F64 => element.copy_from_slice(&((bits >> 11) as f64 * 1e-18).to_le_bytes()),
                Dtype::F32 => element.copy_from_slice(&((bits >> 40) as f32 * 1e-9).to_le_bytes()),
                dtype => element.copy_from_slice(&bits.to_le_bytes()[..dtype.bytes()]),
            }
        }
        Ok(())
    }
}

#[test]
fn no_tensor_is_held_whole_because_it_is_large() {
    /// What one thread may hold of a tensor.
    const HELD_MAX: u64 = 16 << 20;
    for (dtype, shape) in [
        (Dtype::F32, vec![16_384, 512]),
        (Dtype::BF16, vec![8, 4096, 512]),
        (Dtype::F8_E4M3, vec![32_768, 1024]),
        (Dtype::F64, vec![8192, 512]),
        (Dtype::I64, vec![1 << 22]),
        (Dtype::I32, vec![4, 1024, 1025]),
    ] {
        let info = TensorInfo { name: "w".into(), dtype, shape, file: "model.safetensors".into() };
        let bytes = info.bytes();
        assert!(bytes >= HELD_MAX, "{dtype:?}: the tensor is no test");
        let source = Endless { infos: vec![info], largest_read: 0.into(), read: 0.into() };
        let weighed = weigh(&source, &unknown(), None, &TrainerState::default(), &plan(2), &());
        assert!(weighed.problems.is_empty(), "{:?}", weighed.problems);
        let most = source.largest_read.into_inner();
        assert!(most <= 1 << 20, "{dtype:?}: {most} bytes were read at once");
        let looks = source.read.into_inner().div_ceil(bytes);
        let looks_max = if matches!(dtype, Dtype::F64 | Dtype::I64 | Dtype::I32) { 16 } else { 3 };
        assert!(looks <= looks_max, "{dtype:?}: {looks} looks at the tensor");
    }
}
