//! What a tensor is in its model: families as data, roles, layers, heads.
