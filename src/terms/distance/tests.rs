use super::*;
use crate::terms::{Attempt, Category, Dtype, Meaning, ReadingKey, Role, RunId, Step, TensorFacts};

/// A plain generator: the sum of four uniform numbers is normal enough here.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        let mut sum = -2.0;
        for _ in 0..4 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            sum += (self.0 >> 11) as f64 / (1u64 << 53) as f64;
        }
        sum
    }

    fn vector(&mut self, length: usize) -> Vec<f32> {
        (0..length).map(|_| self.next() as f32).collect()
    }
}

fn whole(values: Vec<f32>) -> Sketch {
    Sketch { version: 1, values, exact: true }
}

/// Sign sketch of a vector by the plainest recipe: one bucket and one sign an element.
fn sketched(vector: &[f32], length: usize) -> Sketch {
    let mut sums = vec![0.0f64; length];
    let mut random = Noise(99);
    for &value in vector {
        random.next();
        let bucket = (random.0 >> 33) as usize % length;
        sums[bucket] += if random.0 >> 63 == 1 { f64::from(value) } else { -f64::from(value) };
    }
    Sketch { version: 1, values: sums.into_iter().map(|sum| sum as f32).collect(), exact: false }
}

fn of(tensors: &[(&str, Sketch)]) -> Sketches {
    tensors.iter().map(|(name, sketch)| (Arc::from(*name), sketch.clone())).collect()
}

fn key(step: u64) -> ReadingKey {
    ReadingKey { run: RunId::new("r"), attempt: Attempt(0), step: Step(step) }
}

fn facts(name: &str) -> TensorFacts {
    let meaning = Meaning {
        role: Role::Other,
        category: Category::Other,
        layer: None,
        guessed: true,
        inputs_first: false,
    };
    TensorFacts { name: name.into(), dtype: Dtype::F32, shape: vec![64], meaning, content_hash: 0 }
}

#[test]
fn whole_tensors_have_exact_distances() {
    let before = of(&[("a", whole(vec![3.0, 0.0])), ("b", whole(vec![0.0])), ("gone", whole(vec![1.0]))]);
    let after = of(&[("a", whole(vec![0.0, 4.0])), ("b", whole(vec![12.0])), ("new", whole(vec![1.0]))]);
    let apart = distance(&before, &after);
    assert_eq!((apart.distance, apart.standard_error), (13.0, 0.0));
    assert_eq!(apart.relative, 13.0 / 3.0);
    assert_eq!(apart.cosine, 0.0);
    assert_eq!(apart.tensors[0].distance, 5.0);
    let names: Vec<&str> = apart.not_compared.iter().map(|name| &**name).collect();
    assert_eq!(names, ["new", "gone"]);
    let same = distance(&before, &before);
    assert_eq!((same.distance, same.relative, same.cosine), (0.0, 0.0, 1.0));
}

#[test]
fn sketched_distances_lie_within_their_errors() {
    // 60 pairs: at 3 standard errors one in 370 lies outside by chance, and the seed is fixed.
    let mut noise = Noise(7);
    for round in 0..60 {
        let first = noise.vector(20_000);
        let scale = 10f32.powi(-(round % 4));
        let second: Vec<f32> = first.iter().map(|value| value + scale * noise.next() as f32).collect();
        let exact: f64 = first.iter().zip(&second).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
        let product: f64 = first.iter().zip(&second).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let norm = |vector: &[f32]| vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        let cosine = product / norm(&first) / norm(&second);
        let apart = distance(&of(&[("w", sketched(&first, 1024))]), &of(&[("w", sketched(&second, 1024))]));
        assert!((apart.distance - exact).abs() <= 3.0 * apart.standard_error, "{round}: {exact} {apart:?}");
        assert!(
            (apart.cosine - cosine).abs() <= 3.0 * apart.cosine_standard_error,
            "{round}: {cosine} {apart:?}"
        );
        assert!(apart.standard_error < 0.03 * exact);
    }
}

#[test]
fn a_way_in_a_plane_is_drawn_as_it_is() {
    let places = [(0.0, 0.0), (3.0, 0.0), (3.0, 4.0), (0.0, 4.0)];
    let point = |(index, (x, y)): (usize, &(f64, f64))| {
        let mut values = vec![0.0; 64];
        (values[5], values[40]) = (*x as f32, *y as f32);
        (key(index as u64), Arc::new(of(&[("w", whole(values))])))
    };
    let points: Vec<_> = places.iter().enumerate().map(point).collect();
    let way = trajectory(&points).unwrap();
    assert_eq!(way.moves, [3.0, 4.0, 3.0]);
    assert_eq!(way.end_to_end, 4.0);
    assert!((way.shares[0] + way.shares[1] - 1.0).abs() < 1e-9);
    for (left, right) in [(0, 2), (1, 3), (0, 1)] {
        let [a, b] = [way.coordinates[left], way.coordinates[right]];
        let drawn = (a[0] - b[0]).hypot(a[1] - b[1]);
        let truth = (places[left].0 - places[right].0).hypot(places[left].1 - places[right].1);
        assert!((drawn - truth).abs() < 1e-9);
    }
    assert_eq!(way.diffusion_exponent, None);
    assert!(trajectory(&points[..1]).is_none());
}

#[test]
fn drift_and_noise_have_their_exponents() {
    let mut noise = Noise(3);
    let direction = noise.vector(512);
    let mut at = vec![0.0f32; 512];
    let (mut drifting, mut wandering) = (Vec::new(), Vec::new());
    for step in 0..60u64 {
        let drifted = direction.iter().map(|value| value * step as f32).collect();
        drifting.push((key(step * 10), Arc::new(of(&[("w", whole(drifted))]))));
        at.iter_mut().for_each(|value| *value += noise.next() as f32);
        wandering.push((key(step * 10), Arc::new(of(&[("w", whole(at.clone()))]))));
    }
    let drift = trajectory(&drifting).unwrap().diffusion_exponent.unwrap();
    let noise = trajectory(&wandering).unwrap().diffusion_exponent.unwrap();
    assert!((drift - 1.0).abs() < 1e-6, "{drift}");
    assert!((noise - 0.5).abs() < 0.06, "{noise}");
}

#[test]
fn a_rollback_a_swap_and_a_stale_shard_are_recognised() {
    let mut noise = Noise(11);
    let names = ["h.0.w", "h.1.w", "h.2.w"];
    let mut tensors: Vec<Vec<f32>> = names.iter().map(|_| noise.vector(64)).collect();
    let mut earlier = Vec::new();
    for step in 1..=5 {
        for tensor in &mut tensors {
            tensor.iter_mut().for_each(|value| *value += 0.01 * noise.next() as f32);
        }
        let sketches: Vec<_> =
            names.iter().zip(&tensors).map(|(name, t)| (*name, whole(t.clone()))).collect();
        earlier.push((key(step * 100), Arc::new(of(&sketches))));
    }
    let newest = earlier[4].1.clone();
    // Step 200 again.
    let back = nearest(&earlier[1].1, &earlier).unwrap();
    assert_eq!((back.key, back.same), (key(200), true));
    // Trained on: nearest to the last, but not the same.
    let moved = |sketches: &Sketches, noise: &mut Noise| -> Sketches {
        let mut moved = sketches.clone();
        for sketch in moved.values_mut() {
            sketch.values.iter_mut().for_each(|value| *value += 0.01 * noise.next() as f32);
        }
        moved
    };
    let on = moved(&newest, &mut noise);
    let near = nearest(&on, &earlier).unwrap();
    assert_eq!((near.key, near.same), (key(500), false));
    assert!(ages(&on, &earlier).iter().all(|age| age.same_as.is_none() && !age.went_back));
    // Two layers changed places.
    let mut crossed = on.clone();
    let (left, right) = (on["h.0.w"].clone(), on["h.2.w"].clone());
    crossed.insert("h.0.w".into(), right);
    crossed.insert("h.2.w".into(), left);
    let facts: Vec<_> = names.iter().map(|name| facts(name)).collect();
    let swapped = swaps(&newest, &crossed, &facts);
    assert_eq!(swapped.len(), 1);
    assert_eq!((&*swapped[0].tensor, &*swapped[0].with), ("h.0.w", "h.2.w"));
    assert!(swaps(&newest, &on, &facts).is_empty());
    // One became a copy of another.
    let mut copied = on.clone();
    copied.insert("h.2.w".into(), on["h.1.w"].clone());
    assert_eq!(copies(&newest, &copied, &facts), [("h.1.w".into(), "h.2.w".into())]);
    assert!(copies(&newest, &on, &facts).is_empty());
    // One tensor is as of step 300, another stands still since 500.
    let mut stale = on;
    stale.insert("h.1.w".into(), earlier[2].1["h.1.w"].clone());
    stale.insert("h.2.w".into(), newest["h.2.w"].clone());
    let ages = ages(&stale, &earlier);
    assert_eq!((ages[1].same_as.clone(), ages[1].went_back), (Some(key(300)), true));
    assert_eq!((ages[2].same_as.clone(), ages[2].went_back), (Some(key(500)), false));
}

#[test]
fn a_gain_of_sixteen_bits_that_takes_a_step_back_is_no_stale_shard() {
    let mut noise = Noise(12);
    let mut weights = noise.vector(64);
    // A gain that moves by one step of bfloat16 in so many of its elements, and back, while the weights train on.
    let mut events_of = |moved: usize| {
        let gain = |away: bool| {
            let at = |index| if away && index < moved { 1.0078125 } else { 1.0 };
            whole((0..64).map(at).collect())
        };
        let points: Vec<Point> = (1..=3)
            .map(|step| {
                weights.iter_mut().for_each(|value| *value += 0.01 * noise.next() as f32);
                let sketches = of(&[("gain", gain(step == 2)), ("w", whole(weights.clone()))]);
                (key(step * 100), Arc::new(sketches), vec![facts("gain"), facts("w")])
            })
            .collect();
        events(&points)
    };
    assert_eq!(events_of(1), []);
    assert_eq!(events_of(7), []);
    let back = Oddity::WentBack { to: key(100), tensors: vec!["gain".into()] };
    assert_eq!(events_of(8), [Event { key: key(300), oddity: back }]);
}
