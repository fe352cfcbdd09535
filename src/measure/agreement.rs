//! The streaming ways against the sorting one, which is the plain definition.

use super::cut::Cut;
use super::job::{Before, Job, Outcome};
use super::sketch::Recipe;
use super::stream::{Way, Worker, weigh_streamed};
use super::testing::{InMemory, Random};
use super::{change, small, together, wide};
use crate::terms::{BlockSource, Category, Dtype, Meaning, Role};
use std::sync::Mutex;

fn with_job<T>(source: &InMemory, previous: Option<&InMemory>, see: impl FnOnce(&Job<'_>) -> T) -> T {
    let recipe = Recipe::new(256);
    let interval = change::Interval { steps: 10, lr_sum: Some(0.01), lr_square_sum: Some(1e-5) };
    let job = Job {
        source,
        index: 0,
        info: &source.tensors()[0],
        meaning: Meaning {
            role: Role::Other,
            category: Category::Other,
            layer: None,
            guessed: true,
            inputs_first: false,
        },
        previous: previous.map(|source| Before { source, index: 0, info: &source.tensors()[0], interval }),
        sketch_len: 256,
        recipe: &recipe,
        rows: true,
        quantiles: 16,
        progress: &(),
        learning_rate: Some(1e-3),
    };
    see(&job)
}

fn outcomes(source: &InMemory, previous: Option<&InMemory>) -> [Outcome; 3] {
    with_job(source, previous, |job| {
        assert_ne!(Way::of(job), Way::Sorted);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let workers: Vec<_> = (0..3).map(|_| Mutex::new(Worker::new())).collect();
        [
            small::weigh(job).unwrap(),
            weigh_streamed(job, &mut Worker::new()).unwrap(),
            pool.install(|| together::begin(job, &workers)).unwrap().finish(&mut Worker::new()).unwrap(),
        ]
    })
}

/// Relative and absolute bound of a metric.
fn bound(metric: &str) -> (f64, f64) {
    // Rows are divided in f32: where they are narrow and far from 0, its rounding shows.
    if metric.starts_with("row_normalized_") {
        return if metric.ends_with("ks_statistic") { (0.0, 1e-5) } else { (1e-3, 1e-4) };
    }
    match metric {
        "ks_statistic" => (0.0, 1e-6),
        "mean" => (1e-6, 1e-9),
        "skewness" | "excess_kurtosis" => (1e-5, 1e-6),
        "l_skewness" | "l_kurtosis" => (1e-4, 1e-5),
        "bowley_skewness" => (1e-3, 1e-4),
        "weibull_shape" | "hill_tail_index" => (1e-3, 0.0),
        "outlier_elements" => (0.0, 0.0),
        "distinct_values" | "bf16_stall_ratio" => (0.0, 0.0),
        name if name.ends_with("elements") || name.ends_with("rows") => (0.0, 0.0),
        _ => (1e-6, 1e-12),
    }
}

fn agree(what: &str, source: &InMemory, previous: Option<&InMemory>) {
    let [sorted, held, shared] = outcomes(source, previous);
    assert_eq!(held.sheet.samples, shared.sheet.samples, "{what}: threads changed a value");
    assert_eq!(held.sheet.absent, shared.sheet.absent, "{what}: threads changed a reason");
    assert_eq!(held.sketch, shared.sketch, "{what}: threads changed the sketch");
    assert_eq!(sorted.content_hash, shared.content_hash, "{what}");
    close(what, &sorted, &held);
}

/// The way for wide numbers, which takes every dtype.
fn agree_wide(what: &str, source: &InMemory, previous: Option<&InMemory>) {
    let sorted = with_job(source, previous, |job| small::weigh(job).unwrap());
    let wide = with_job(source, previous, |job| wide::weigh(job).unwrap());
    assert_eq!(sorted.content_hash, wide.content_hash, "{what}");
    close(what, &sorted, &wide);
}

fn close(what: &str, sorted: &Outcome, held: &Outcome) {
    assert_eq!(sorted.sheet.absent, held.sheet.absent, "{what}");
    let names = |outcome: &Outcome| outcome.sheet.samples.keys().copied().collect::<Vec<_>>();
    assert_eq!(names(sorted), names(held), "{what}");
    for (name, want) in &sorted.sheet.samples {
        let got = held.sheet.samples[name];
        let (relative, absolute) = bound(name);
        assert!(
            (want - got).abs() <= relative * want.abs() + absolute,
            "{what}: {name}: want {want}, got {got}"
        );
    }
    let (a, b) = (sorted.sketch.as_ref().unwrap(), held.sketch.as_ref().unwrap());
    let scale = a.values.iter().map(|x| x.abs()).fold(0f32, f32::max);
    for (a, b) in a.values.iter().zip(&b.values) {
        assert!((a - b).abs() <= 1e-5 * scale, "{what}: sketch {a} {b}");
    }
}

const SHAPE: [u64; 2] = [300, 512];
const LEN: usize = 300 * 512;

#[test]
fn normal_f32() {
    let values = Random(1).normals(LEN, 0.02);
    agree("normal", &InMemory::f32(&SHAPE, &values), None);
    agree("normal, no rows", &InMemory::f32(&[30, 10, 512], &values), None);
}

#[test]
fn heavy_tails_and_rows_of_different_scale() {
    let mut random = Random(2);
    let mut values: Vec<f32> = (0..LEN).map(|_| (random.student(4) * 0.1) as f32).collect();
    agree("t4", &InMemory::f32(&SHAPE, &values), None);
    for row in values.chunks_exact_mut(512) {
        let scale = random.normal().exp() as f32;
        row.iter_mut().for_each(|x| *x *= scale);
    }
    agree("t4 rows", &InMemory::f32(&SHAPE, &values), None);
}

#[test]
fn narrow_far_from_zero_and_discrete() {
    let mut random = Random(3);
    let narrow: Vec<f32> = (0..LEN).map(|_| (1.0 + 1e-3 * random.normal()) as f32).collect();
    agree("narrow", &InMemory::f32(&SHAPE, &narrow), None);
    let signs: Vec<f32> = (0..LEN).map(|_| if random.bits() & 1 == 0 { 1.0 } else { -1.0 }).collect();
    agree("signs", &InMemory::f32(&SHAPE, &signs), None);
    let few: Vec<f32> = (0..LEN).map(|_| (random.bits() % 7) as f32 * 0.1 - 0.3).collect();
    agree("few values", &InMemory::f32(&SHAPE, &few), None);
    let rounded: Vec<f32> =
        random.normals(LEN, 0.02).iter().map(|&x| half::bf16::from_f32(x).to_f32()).collect();
    agree("bf16 in f32", &InMemory::f32(&SHAPE, &rounded), None);
}

/// The search for D takes it that values lie anywhere within a cell, and must find D where they do not.
#[test]
fn values_at_one_end_of_their_cells() {
    const SHAPE: [u64; 2] = [1200, 512];
    let mut random = Random(13);
    let place = |x: f32, low: u32| f32::from_bits((x.to_bits() & !0x3fff) | low);
    let at_ends = |random: &mut Random, near: f64| -> Vec<f32> {
        let low = |random: &mut Random| if random.uniform() < near { 3 } else { 0x3ffd };
        (0..1200 * 512).map(|_| place(random.student(4) as f32 * 0.1, low(random))).collect()
    };
    // One cell in 97 where all are at one end, the others as they fall: D may lie in such a cell although others have
    // larger distances at their ends.
    for which in (0..97).step_by(12) {
        let mut spread = |_| {
            let x = random.student(4) as f32 * 0.1;
            let cell = x.to_bits() >> 14;
            if cell % 97 == which { place(x, 3) } else { x }
        };
        let values: Vec<f32> = (0..1200 * 512).map(&mut spread).collect();
        agree(&format!("cells of remainder {which}"), &InMemory::f32(&SHAPE, &values), None);
    }
    for near in [0.0, 0.1, 0.9, 1.0] {
        agree(
            &format!("{near} of them at the near end"),
            &InMemory::f32(&SHAPE, &at_ends(&mut random, near)),
            None,
        );
    }
    let halves = |_| half::f16::from_f64(random.student(4) * 0.1).to_f32();
    agree("f16 in f32", &InMemory::f32(&SHAPE, &(0..1200 * 512).map(halves).collect::<Vec<_>>()), None);
}

#[test]
fn sick_values() {
    let mut values = Random(4).normals(LEN, 0.02);
    values[5] = 0.0;
    values[6] = -0.0;
    values[7] = 1e30;
    values[8] = 1e-30;
    values[9] = -1e-41;
    agree("1e30 beside 1e-30", &InMemory::f32(&SHAPE, &values), None);
    values[1000] = f32::NAN;
    values[70_000] = f32::INFINITY;
    values[70_001] = f32::NEG_INFINITY;
    agree("NaN and Inf", &InMemory::f32(&SHAPE, &values), None);
    agree("zeros", &InMemory::f32(&SHAPE, &vec![0.0; LEN]), None);
    agree("constant", &InMemory::f32(&SHAPE, &vec![0.1; LEN]), None);
    agree("all NaN", &InMemory::f32(&SHAPE, &vec![f32::NAN; LEN]), None);
    let tiny: Vec<f32> = Random(5).normals(LEN, 1.0).iter().map(|x| x * 1e-40).collect();
    agree("subnormals", &InMemory::f32(&SHAPE, &tiny), None);
    let mut sparse = vec![0.0; LEN];
    for (index, x) in Random(6).normals(LEN / 10, 1.0).into_iter().enumerate() {
        sparse[index * 10] = x;
    }
    agree("sparse", &InMemory::f32(&SHAPE, &sparse), None);
}

#[test]
fn every_narrow_dtype() {
    let values = Random(7).normals(LEN, 0.5);
    agree("bf16", &InMemory::bf16(&SHAPE, &values), None);
    let halves = values.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect();
    agree("f16", &InMemory::one(Dtype::F16, &SHAPE, halves), None);
    let mut random = Random(8);
    for dtype in [Dtype::BOOL, Dtype::U8, Dtype::I8, Dtype::F8_E4M3, Dtype::F8_E5M2] {
        let bytes = (0..LEN).map(|_| random.bits() as u8).collect();
        agree(dtype.name(), &InMemory::one(dtype, &SHAPE, bytes), None);
    }
    for dtype in [Dtype::U16, Dtype::I16] {
        let bytes = (0..2 * LEN).map(|_| random.bits() as u8).collect();
        agree(dtype.name(), &InMemory::one(dtype, &SHAPE, bytes), None);
    }
}

#[test]
fn change() {
    let mut random = Random(9);
    let before = random.normals(LEN, 0.02);
    let mut now: Vec<f32> = before.iter().map(|x| x + 1e-3 * random.normal() as f32).collect();
    for x in &mut now[512..1024] {
        *x *= 4.0;
    }
    now[..512].copy_from_slice(&before[..512]);
    for (now, before) in now[1024..1536].iter_mut().zip(&before[1024..1536]) {
        *now = before * 0.999;
    }
    now[100_000] = 1e3;
    let (a, b) = (InMemory::f32(&SHAPE, &now), InMemory::f32(&SHAPE, &before));
    agree("change", &a, Some(&b));
    agree("change of dtype", &InMemory::bf16(&SHAPE, &now), Some(&b));
    now[200] = f32::NAN;
    agree("change with NaN", &InMemory::f32(&SHAPE, &now), Some(&b));
    agree("no change", &b, Some(&b));
}

#[test]
fn chunks_are_whole_rows() {
    let source = InMemory::f32(&SHAPE, &vec![1.0; LEN]);
    let cut = Cut::new(&source.tensors()[0], Some(512));
    assert_eq!(cut.chunk % 512, 0);
    assert_eq!((0..cut.chunks).map(|chunk| cut.range(chunk).len()).sum::<usize>(), LEN);
}

#[test]
fn wide_numbers_in_many_looks() {
    let mut random = Random(10);
    let f64s = |values: &[f64]| {
        InMemory::one(Dtype::F64, &SHAPE, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    };
    let normal: Vec<f64> = (0..LEN).map(|_| 0.02 * random.normal()).collect();
    agree_wide("f64 normal", &f64s(&normal), None);
    let mut moved: Vec<f64> = normal.iter().map(|x| x + 1e-3 * random.normal()).collect();
    moved[77] = 3.0;
    agree_wide("f64 change", &f64s(&moved), Some(&f64s(&normal)));
    let heavy: Vec<f64> = (0..LEN).map(|_| random.student(3)).collect();
    agree_wide("f64 t3", &f64s(&heavy), None);
    let narrow: Vec<f64> = (0..LEN).map(|_| 1.0 + 1e-7 * random.normal()).collect();
    agree_wide("f64 narrow", &f64s(&narrow), None);
    let mut sick = normal.clone();
    (sick[0], sick[1], sick[2]) = (1e200, 1e-200, 5e-324);
    agree_wide("f64 sick", &f64s(&sick), None);
    (sick[3], sick[4]) = (f64::NAN, f64::INFINITY);
    agree_wide("f64 NaN", &f64s(&sick), None);
    agree_wide("f64 zeros", &f64s(&vec![0.0; LEN]), None);
    agree_wide("f64 constant", &f64s(&vec![0.1; LEN]), None);
    agree_wide("f64 all NaN", &f64s(&vec![f64::NAN; LEN]), None);
    for dtype in [Dtype::I32, Dtype::U32, Dtype::I64, Dtype::U64] {
        let bytes = (0..LEN * dtype.bytes()).map(|_| random.bits() as u8).collect();
        agree_wide(dtype.name(), &InMemory::one(dtype, &SHAPE, bytes), None);
    }
    let counting = (0..LEN as i64).flat_map(|i| i.to_le_bytes()).collect();
    agree_wide("positions", &InMemory::one(Dtype::I64, &SHAPE, counting), None);
}
