//! Which calls in a pickle mean a tensor. The list is short and closed: a callable that is not on it
//! makes no tensor.

use crate::tensor::found::{elements, tame};
use crate::tensor::limits::RANK_MAX;
use crate::tensor::pickle::{Call, Global, Id, Node, Pickle};
use crate::terms::Dtype;

/// What an object of the pickle is.
pub enum Rebuilt {
    /// A tensor on a storage.
    Tensor(TensorView),
    /// A tensor that cannot be weighed.
    Skipped {
        /// Its elements, where they can be told.
        elements: u64,
        /// Why.
        reason: String,
    },
    /// Not a tensor.
    Other,
}

/// A view of a storage, as the pickle describes it: nothing is checked against the storage yet.
#[derive(Clone, Debug)]
pub struct TensorView {
    /// Element type.
    pub dtype: Dtype,
    /// Key of the storage.
    pub storage: String,
    /// Elements of the storage and bytes of one, as the pickle tells.
    pub storage_elements: u64,
    /// Bytes of one element of the storage.
    pub storage_width: u64,
    /// First element of the view.
    pub offset: u64,
    /// Dimensions.
    pub shape: Vec<u64>,
    /// Elements from one index to the next, one a dimension.
    pub strides: Vec<u64>,
}

/// Wrappers around wrappers that are looked through: a parameter with state of a subclass of a tensor.
const WRAPPERS_MAX: usize = 4;

/// Tells whether an object is a tensor.
pub fn rebuild(pickle: &Pickle, id: Id) -> Rebuilt {
    match pickle.call(id) {
        Some((global, call)) => rebuild_call(pickle, global, call, call.arguments, WRAPPERS_MAX),
        None => Rebuilt::Other,
    }
}

fn rebuild_call(pickle: &Pickle, global: &Global, call: &Call, arguments: Id, wrappers: usize) -> Rebuilt {
    let arguments = pickle.sequence(arguments).unwrap_or(&[]);
    let of_torch = &*global.module == "torch" || global.module.starts_with("torch.");
    match &*global.name {
        "_rebuild_tensor" | "_rebuild_tensor_v2" if of_torch => tensor(pickle, arguments, None),
        "_rebuild_tensor_v3" if of_torch => {
            let dtype = arguments.get(6).and_then(|&id| pickle.global(id));
            tensor(pickle, arguments, Some(dtype.map_or("unknown", |global| &global.name)))
        }
        "_rebuild_parameter" | "_rebuild_parameter_with_state" if of_torch && wrappers > 0 => {
            let inner = arguments.first().and_then(|&id| pickle.call(id));
            inner.map_or(Rebuilt::Other, |(global, call)| {
                rebuild_call(pickle, global, call, call.arguments, wrappers - 1)
            })
        }
        // func, type, args, state
        "_rebuild_from_type" | "_rebuild_from_type_v2" if of_torch && wrappers > 0 => {
            match (arguments.first().and_then(|&id| pickle.global(id)), arguments.get(2)) {
                (Some(inner), Some(&arguments)) => rebuild_call(pickle, inner, call, arguments, wrappers - 1),
                _ => Rebuilt::Other,
            }
        }
        "_rebuild_qtensor" if of_torch => {
            skipped(arguments.get(2).and_then(|&id| pickle.sizes(id)), "quantised tensors are not read")
        }
        "_rebuild_meta_tensor_no_storage" if of_torch => skipped(
            arguments.get(1).and_then(|&id| pickle.sizes(id)),
            "has no data (it was on the meta device)",
        ),
        "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor" if of_torch => {
            skipped(sparse_size(pickle, arguments), "sparse tensors are not read")
        }
        name if of_torch && name.starts_with("_rebuild_") => {
            skipped(None, &format!("tensors made by {} are not read", tame(name)))
        }
        "_reconstruct" if global.module.starts_with("numpy") => numpy_array(pickle, call),
        _ => Rebuilt::Other,
    }
}

fn skipped(shape: Option<Vec<u64>>, reason: &str) -> Rebuilt {
    let elements = shape.and_then(|shape| elements(&shape)).unwrap_or(0);
    Rebuilt::Skipped { elements, reason: reason.to_owned() }
}

/// storage, offset, size, strides, …; `dtype` where it is not the storage's own.
fn tensor(pickle: &Pickle, arguments: &[Id], dtype: Option<&str>) -> Rebuilt {
    let &[storage, offset, size, strides, ..] = arguments else { return Rebuilt::Other };
    let (Some(shape), Some(strides)) = (pickle.sizes(size), pickle.sizes(strides)) else {
        return skipped(None, "its shape is not made of sizes");
    };
    let Some((storage_dtype, storage, storage_elements)) = storage_of(pickle, storage) else {
        return skipped(Some(shape), "its storage is not described");
    };
    let name = dtype.unwrap_or(storage_dtype);
    let untyped = storage_dtype == "UntypedStorage";
    let Some(dtype) = dtype_of(name) else {
        return skipped(Some(shape), &format!("dtype {} cannot be weighed", tame(name)));
    };
    if shape.len() != strides.len() || shape.len() > RANK_MAX {
        return skipped(Some(shape), "its strides do not fit its shape");
    }
    let Some(offset) = pickle.size(offset) else { return skipped(Some(shape), "its offset is not a number") };
    let storage_width = if untyped { 1 } else { dtype_of(storage_dtype).unwrap_or(dtype).bytes() as u64 };
    Rebuilt::Tensor(TensorView {
        dtype,
        storage: storage.to_owned(),
        storage_elements,
        storage_width,
        offset,
        shape,
        strides,
    })
}

/// `('storage', type, key, location, elements)`: type, key and elements.
pub fn storage_of(pickle: &Pickle, id: Id) -> Option<(&str, &str, u64)> {
    let Node::Persistent(key) = pickle.node(id) else { return None };
    let &[tag, kind, key, _location, count, ref view @ ..] = pickle.sequence(*key)? else { return None };
    // Before torch 0.4 a storage could be a view of another one.
    if !view.iter().all(|&view| matches!(pickle.node(view), Node::None)) {
        return None;
    }
    let kind = pickle.global(kind)?;
    (pickle.text(tag)? == "storage" && (&*kind.module == "torch" || kind.module.starts_with("torch.")))
        .then_some(())?;
    Some((&kind.name, pickle.text(key)?, pickle.size(count)?))
}

/// The dtype of torch's name for it, or for a storage of it.
pub fn dtype_of(name: &str) -> Option<Dtype> {
    Some(match name {
        "bool" | "BoolStorage" => Dtype::BOOL,
        "uint8" | "ByteStorage" => Dtype::U8,
        "int8" | "CharStorage" => Dtype::I8,
        "float8_e4m3fn" | "Float8_e4m3fnStorage" => Dtype::F8_E4M3,
        "float8_e5m2" | "Float8_e5m2Storage" => Dtype::F8_E5M2,
        "uint16" => Dtype::U16,
        "int16" | "short" | "ShortStorage" => Dtype::I16,
        "float16" | "half" | "HalfStorage" => Dtype::F16,
        "bfloat16" | "BFloat16Storage" => Dtype::BF16,
        "uint32" => Dtype::U32,
        "int32" | "int" | "IntStorage" => Dtype::I32,
        "float32" | "float" | "FloatStorage" => Dtype::F32,
        "uint64" => Dtype::U64,
        "int64" | "long" | "LongStorage" => Dtype::I64,
        "float64" | "double" | "DoubleStorage" => Dtype::F64,
        _ => return None,
    })
}

/// layout, (indices, values, size, …)
fn sparse_size(pickle: &Pickle, arguments: &[Id]) -> Option<Vec<u64>> {
    let parts = pickle.sequence(*arguments.get(1)?)?;
    parts.iter().rev().find_map(|&part| pickle.sizes(part))
}

/// An array that lies inside the pickle: state of a random number generator, as a rule.
fn numpy_array(pickle: &Pickle, call: &Call) -> Rebuilt {
    let shape = call.state.and_then(|state| pickle.sizes(*pickle.sequence(state)?.get(1)?));
    skipped(shape, "a numpy array inside the pickle")
}
