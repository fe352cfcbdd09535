//! Norms, gates, routers, adapters and experts in memory.

use faer::Mat;

use super::tests::{Memory, close};
use crate::measure::Weighed;
use crate::measure::kernels::noise::gaussian;
use crate::terms::{Reason, Role, Subject, SubjectReading};

fn layer(weighed: &Weighed, layer: u32) -> &SubjectReading {
    weighed.subjects.iter().find(|s| s.subject == Subject::Layer(layer)).unwrap()
}

#[test]
fn a_runaway_gain_stands_out() {
    let mut memory = Memory::default();
    let mut gain = vec![1.0; 64];
    (gain[5], gain[9]) = (12.0, -0.5);
    memory.push(Role::Norm, Some(0), &[64], &gain);
    memory.push(Role::Norm, Some(0), &[4], &[0.0; 4]);
    let weighed = memory.weigh();
    let samples = &weighed.tensors[0].samples;
    assert_eq!(samples["gain_max_over_median"], 12.0);
    assert_eq!(samples["gain_outliers"], 1.0);
    assert_eq!(samples["gain_nonpositive"], 1.0);
    assert_eq!(weighed.tensors[1].absent["gain_outliers"], Reason::AllZero);
}

#[test]
fn aligned_neurons_are_found_however_they_lie() {
    let (neurons, width) = (300, 128);
    let gate = gaussian(neurons * width, 1);
    let mut up = gaussian(neurons * width, 2);
    let transpose = |x: &[f64]| -> Vec<f64> {
        (0..neurons * width).map(|at| x[(at % neurons) * width + at / neurons]).collect()
    };
    let mut memory = Memory::default();
    let shape = [neurons as u64, width as u64];
    memory.push(Role::MlpGate, Some(0), &shape, &gate);
    memory.push(Role::MlpUp, Some(0), &shape, &up);
    for at in 0..width {
        up[7 * width + at] = -3.0 * gate[7 * width + at];
    }
    memory.push(Role::MlpGate, Some(1), &shape, &gate);
    memory.push(Role::MlpUp, Some(1), &shape, &up);
    let fused: Vec<f64> = gate.iter().chain(&up).copied().collect();
    memory.push(Role::MlpGateUp, Some(2), &[2 * neurons as u64, width as u64], &fused);
    for values in [&gate, &up] {
        let role = if std::ptr::eq(values, &gate) { Role::MlpGate } else { Role::MlpUp };
        let index = memory.push(role, Some(3), &[width as u64, neurons as u64], &transpose(values));
        memory.store_inputs_first(index);
    }
    let weighed = memory.weigh();
    let noise = layer(&weighed, 0).samples["gate_up_cosine_max_excess_over_null"];
    assert!(noise.abs() < 0.1, "{noise}");
    for at in 1..4 {
        close(layer(&weighed, at).samples["gate_up_cosine_max"], 1.0, 1e-12);
        close(
            layer(&weighed, at).samples["gate_up_cosine_top1_mean"],
            layer(&weighed, 1).samples["gate_up_cosine_top1_mean"],
            1e-12,
        );
    }
}

#[test]
fn routers_are_compared_row_by_row() {
    let mut memory = Memory::default();
    // rows (1,0), (0,2), (3,0): one pair points the same way
    let index = memory.push(Role::Router, Some(0), &[3, 2], &[1.0, 0.0, 0.0, 2.0, 3.0, 0.0]);
    let other = memory.push(Role::Router, Some(1), &[2, 3], &[1.0, 0.0, 3.0, 0.0, 2.0, 0.0]);
    memory.store_inputs_first(other);
    let weighed = memory.weigh();
    for at in [index, other] {
        let samples = &weighed.tensors[at].samples;
        close(samples["router_cosine_max"], 1.0, 1e-12);
        close(samples["router_cosine_mean"], 1.0 / 3.0, 1e-12);
        close(samples["router_norm_max_over_median"], 1.5, 1e-12);
        assert!(samples["router_norm_entropy"] < 0.8);
    }
}

#[test]
fn adapters_are_measured_through_their_rank() {
    let (rank, inputs, outputs) = (4, 30, 20);
    let (a, b) = (gaussian(rank * inputs, 1), gaussian(outputs * rank, 2));
    let base = gaussian(outputs * inputs, 3);
    let mut memory = Memory::default();
    memory.push_named("q.base_layer.weight", Role::AttnQ, Some(0), &[20, 30], &base);
    memory.push_named("q.lora_A.default.weight", Role::LoraA, Some(0), &[4, 30], &a);
    let b_at = memory.push_named("q.lora_B.default.weight", Role::LoraB, Some(0), &[20, 4], &b);
    memory.push_named("k.lora_A.weight", Role::LoraA, Some(0), &[4, 30], &a);
    let fresh = memory.push_named("k.lora_B.weight", Role::LoraB, Some(0), &[20, 4], &[0.0; 80]);
    let lone = memory.push_named("v.lora_B.weight", Role::LoraB, Some(0), &[20, 4], &b);
    let weighed = memory.weigh();
    let delta = Mat::from_fn(outputs, rank, |i, j| b[i * rank + j])
        * Mat::from_fn(rank, inputs, |i, j| a[i * inputs + j]);
    let s = delta.singular_values().unwrap();
    let samples = &weighed.tensors[b_at].samples;
    let norm = delta.norm_l2();
    close(samples["lora_delta_norm"], norm, 1e-12);
    close(samples["lora_delta_spectral_norm"], s[0], 1e-12);
    close(samples["lora_stable_rank"], norm * norm / (s[0] * s[0]), 1e-12);
    let of_base = base.iter().map(|x| x * x).sum::<f64>().sqrt();
    close(samples["lora_delta_ratio"], norm / of_base, 1e-12);
    assert_eq!(weighed.tensors[fresh].samples["lora_delta_norm"], 0.0);
    assert_eq!(weighed.tensors[fresh].absent["lora_stable_rank"], Reason::AllZero);
    assert!(matches!(weighed.tensors[lone].absent["lora_delta_norm"], Reason::NotApplicable(_)));
}

#[test]
fn copied_experts_are_counted_stacked_or_apart() {
    let size = 40 * 50;
    let mut experts: Vec<Vec<f64>> = (0..4).map(|seed| gaussian(size, seed)).collect();
    experts[3] = experts[1].clone();
    experts[2].iter_mut().for_each(|x| *x *= 0.1);
    let mut memory = Memory::default();
    memory.push(Role::ExpertUp, Some(0), &[4, 40, 50], &experts.concat());
    for expert in &experts {
        memory.push(Role::ExpertUp, Some(1), &[40, 50], expert);
    }
    let weighed = memory.weigh();
    for at in 0..2 {
        let samples = &layer(&weighed, at).samples;
        assert_eq!(samples["expert_duplicates"], 1.0);
        close(samples["expert_cosine_max"], 1.0, 1e-12);
        assert!((samples["expert_cosine_mean"] - 1.0 / 6.0).abs() < 0.05);
        assert!((samples["expert_norm_min_over_median"] - 0.1).abs() < 0.01);
    }
}

#[test]
fn token_tables_show_duplicates_and_rows_never_learnt() {
    let (tokens, width) = (200, 16);
    let mut table = gaussian(tokens * width, 1);
    for at in 0..width {
        table[5 * width + at] = table[90 * width + at];
        table[7 * width + at] = 0.0;
        table[8 * width + at] *= 0.01;
    }
    let mut memory = Memory::default();
    memory.push(Role::TokenEmbedding, None, &[tokens as u64, width as u64], &table);
    let weighed = memory.weigh();
    let samples = &weighed.tensors[0].samples;
    assert_eq!(samples["duplicate_rows"], 1.0);
    assert_eq!(samples["untrained_rows"], 2.0);
    assert_eq!(samples["token_norm_min"], 0.0);
    assert!(samples["embedding_mean_cosine"].abs() < 0.02);
    let null = 1.0 / (1.0 + width as f64 / tokens as f64);
    close(samples["embedding_spread"], null, 0.05);
    assert!(samples["embedding_top_component_ratio"] < 0.2);
}
