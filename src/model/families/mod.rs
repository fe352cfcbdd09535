//! The families that come with the program: constant tables, and the list of them.

mod bart;
mod bert;
mod bert_like;
mod bloom;
mod clip;
mod common;
mod decoder;
mod gpt2;
mod gpt_neox;
mod mamba;
mod megatron;
mod mpt;
mod original_llama;
mod t5;
mod vit;

pub(super) use common::COMMON;

use super::Family;

/// Every family that comes with the program, in the order in which they are tried.
pub static FAMILIES: &[&Family] = &[
    &gpt2::GPT2,
    &gpt2::NANOGPT,
    &gpt2::GPT_NEO,
    &gpt2::GPTJ,
    &gpt2::GPT_BIGCODE,
    &gpt2::OPENAI_GPT,
    &decoder::LLAMA,
    &decoder::GEMMA,
    &decoder::DEEPSEEK,
    &original_llama::LLAMA_ORIGINAL,
    &gpt_neox::GPT_NEOX,
    &bloom::BLOOM,
    &bloom::FALCON,
    &mpt::MPT,
    &megatron::MEGATRON,
    &bert::BERT,
    &bert_like::ELECTRA,
    &bert_like::DISTILBERT,
    &bert_like::DEBERTA,
    &bert_like::ALBERT,
    &bert_like::MPNET,
    &bert_like::MODERNBERT,
    &vit::VIT,
    &clip::CLIP,
    &bart::OPT,
    &bart::XGLM,
    &bart::BART,
    &t5::T5,
    &mamba::MAMBA,
];
