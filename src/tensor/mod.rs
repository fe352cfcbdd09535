//! What lies in a checkpoint's files: formats, headers, positioned reads.
