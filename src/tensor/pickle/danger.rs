//! Callables that no checkpoint needs. They are never called whatever they are; a file that names one
//! of them would run it under `torch.load`, and the user should know.

use super::{Global, Node};

/// A dangerous callable that the stream names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// `module.name`.
    pub name: String,
    /// Byte of the stream at which it is named.
    pub offset: u64,
}

/// Modules of which every name is dangerous: they run commands or code, open files or connections. Sorted, to be
/// searched.
const MODULES: &[&str] = &[
    "IPython",
    "_aix_support",
    "_osx_support",
    "_pickle",
    "_posixsubprocess",
    "_pyrepl",
    "aiohttp",
    "asyncio",
    "atexit",
    "bdb",
    "cProfile",
    "cffi",
    "cloudpickle",
    "code",
    "codeop",
    "commands",
    "concurrent",
    "ctypes",
    "dbm",
    "dill",
    "distutils",
    "doctest",
    "ensurepip",
    "fabric",
    "fcntl",
    "fileinput",
    "ftplib",
    "gc",
    "http",
    "httplib",
    "idlelib",
    "imaplib",
    "imp",
    "importlib",
    "inspect",
    "joblib",
    "jsonpickle",
    "lib2to3",
    "linecache",
    "logging.config",
    "marshal",
    "mmap",
    "multiprocessing",
    "nt",
    "ntpath",
    "numpy.f2py",
    "numpy.testing._private.utils",
    "os",
    "paramiko",
    "pdb",
    "pexpect",
    "pickle",
    "pip",
    "pkgutil",
    "popen2",
    "poplib",
    "posix",
    "posixpath",
    "profile",
    "pty",
    "pydoc",
    "requests",
    "runpy",
    "setuptools",
    "shelve",
    "shutil",
    "signal",
    "site",
    "smtplib",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "subprocess",
    "sys",
    "tarfile",
    "telnetlib",
    "tempfile",
    "test.support",
    "threading",
    "timeit",
    "torch._dynamo",
    "torch._inductor",
    "torch.fx.experimental",
    "torch.hub",
    "torch.jit.unsupported_tensor_ops",
    "torch.package",
    "torch.utils._config_module",
    "torch.utils.bottleneck",
    "torch.utils.collect_env",
    "torch.utils.cpp_extension",
    "trace",
    "traceback",
    "transformers.dynamic_module_utils",
    "urllib",
    "urllib2",
    "venv",
    "webbrowser",
    "xmlrpc",
    "zipfile",
    "zipimport",
];

/// Single names that are dangerous in a module with honest ones.
const NAMES: &[(&str, &[&str])] = &[
    (
        "builtins",
        &[
            "__import__",
            "apply",
            "breakpoint",
            "compile",
            "delattr",
            "eval",
            "exec",
            "execfile",
            "file",
            "globals",
            "input",
            "locals",
            "memoryview",
            "open",
            "setattr",
            "vars",
        ],
    ),
    ("copyreg", &["extension"]),
    ("functools", &["reduce"]),
    ("io", &["FileIO", "open", "open_code"]),
    ("logging", &["FileHandler"]),
    ("numpy", &["load", "fromfile", "memmap", "save", "savez"]),
    ("numpy.core.multiarray", &["fromfile"]),
    ("operator", &["attrgetter", "call", "itemgetter", "methodcaller"]),
    ("pandas", &["eval", "read_pickle"]),
    ("torch", &["load", "save", "compile"]),
    ("torch.jit", &["load"]),
    ("torch.serialization", &["load", "save"]),
    ("torch.storage", &["_load_from_bytes"]),
    ("types", &["CodeType", "FunctionType", "LambdaType", "MethodType"]),
    ("uuid", &["_get_command_stdout"]),
];

/// Methods by which a dotted name of an honest class writes or deletes files, or reads them.
const METHODS: &[&str] =
    &["write_text", "write_bytes", "read_text", "read_bytes", "unlink", "rmdir", "symlink_to"];

/// True when no checkpoint needs this class or function.
pub fn is_dangerous(global: &Global) -> bool {
    let module = match &*global.module {
        "__builtin__" => "builtins",
        "copy_reg" => "copyreg",
        "numpy._core.multiarray" => "numpy.core.multiarray",
        module => module,
    };
    let is_known = |module: &str| MODULES.binary_search(&module).is_ok();
    let mut parents = module.match_indices('.').map(|(end, _)| &module[..end]);
    // A dotted name walks through attributes: `collections._sys.modules` is `sys` by another door.
    let by_attribute = global.name.split('.').any(|part| {
        let part = part.trim_start_matches('_');
        global.name.contains('.')
            && (is_known(part)
                || METHODS.contains(&part)
                || part.ends_with("globals__")
                || part == "builtins")
    });
    let named = NAMES.iter().any(|(known, names)| module == *known && names.contains(&&*global.name));
    is_known(module) || parents.any(is_known) || named || by_attribute || global.name.contains("__globals__")
}

/// `getattr` is how some Python versions write an enumeration's member, of a class that the stream
/// names; on anything else it reaches for what the stream does not name.
pub fn is_dangerous_getattr(callable: &Global, first_argument: Option<&Node>) -> bool {
    let builtin = matches!(&*callable.module, "builtins" | "__builtin__") && &*callable.name == "getattr";
    builtin
        && !matches!(first_argument, Some(Node::Global(owner)) if !is_dangerous(owner) && &*owner.module != "builtins")
}

/// One sentence on what a stream tried, and where it began to; none where it is harmless.
pub fn accusation(suspects: &[Suspect]) -> Option<(String, u64)> {
    let first = suspects.first()?;
    let names: Vec<_> = suspects.iter().map(|suspect| suspect.name.as_str()).collect();
    let names = names.join(", ");
    Some((format!("the pickle asks for {names}, which no checkpoint needs; nothing was run"), first.offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dangerous(name: &str) -> bool {
        let (module, name) = name.split_once(' ').unwrap();
        is_dangerous(&Global { module: module.into(), name: name.into() })
    }

    #[test]
    fn the_modules_can_be_searched() {
        assert!(MODULES.is_sorted());
    }

    #[test]
    fn what_runs_reads_or_writes_is_told_and_what_checkpoints_hold_is_not() {
        for name in [
            "logging FileHandler",
            "sqlite3 connect",
            "torch.jit.unsupported_tensor_ops execWrapper",
            "torch.utils.collect_env run",
            "torch.fx.experimental.symbolic_shapes ShapeEnv.evaluate_guards_expression",
            "cloudpickle loads",
            "pandas read_pickle",
            "concurrent.futures ThreadPoolExecutor",
            "IPython start_ipython",
            "torch.package PackageImporter",
            "numpy._core.multiarray fromfile",
            "transformers.dynamic_module_utils get_class_in_module",
            "io FileIO",
            "pathlib Path.write_text",
            "tarfile open",
        ] {
            assert!(dangerous(name), "{name}");
        }
        for name in [
            "pathlib PosixPath",
            "functools partial",
            "io BytesIO",
            "numpy._core.multiarray _reconstruct",
            "torch._utils _rebuild_tensor_v2",
            "collections OrderedDict",
            "transformers.training_args TrainingArguments",
            "torch.distributed.checkpoint.metadata Metadata",
            "argparse Namespace",
        ] {
            assert!(!dangerous(name), "{name}");
        }
    }
}
