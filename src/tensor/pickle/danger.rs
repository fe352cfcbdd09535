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

/// Modules of which every name is dangerous: they run commands or code, open files or connections.
const MODULES: &[&str] = &[
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
    "code",
    "codeop",
    "commands",
    "ctypes",
    "dill",
    "distutils",
    "doctest",
    "ensurepip",
    "fcntl",
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
    "pdb",
    "pickle",
    "pip",
    "pkgutil",
    "poplib",
    "popen2",
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
    "ssl",
    "subprocess",
    "sys",
    "telnetlib",
    "tempfile",
    "test.support",
    "threading",
    "timeit",
    "torch._dynamo",
    "torch._inductor",
    "torch.hub",
    "torch.utils._config_module",
    "torch.utils.bottleneck",
    "torch.utils.cpp_extension",
    "trace",
    "traceback",
    "urllib",
    "urllib2",
    "venv",
    "webbrowser",
    "xmlrpc",
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
    ("numpy", &["load", "fromfile", "memmap", "save", "savez"]),
    ("operator", &["attrgetter", "call", "itemgetter", "methodcaller"]),
    ("torch", &["load", "save", "compile"]),
    ("torch.jit", &["load"]),
    ("torch.serialization", &["load", "save"]),
    ("torch.storage", &["_load_from_bytes"]),
    ("types", &["CodeType", "FunctionType", "LambdaType", "MethodType"]),
    ("uuid", &["_get_command_stdout"]),
];

/// True when no checkpoint needs this class or function.
pub fn is_dangerous(global: &Global) -> bool {
    let module = match &*global.module {
        "__builtin__" => "builtins",
        "copy_reg" => "copyreg",
        module => module,
    };
    let under = |known: &&str| {
        module == *known || module.strip_prefix(*known).is_some_and(|rest| rest.starts_with('.'))
    };
    // A dotted name walks through attributes: `collections._sys.modules` is `sys` by another door.
    let by_attribute = global.name.split('.').any(|part| {
        let part = part.trim_start_matches('_');
        global.name.contains('.')
            && (MODULES.contains(&part) || part.ends_with("globals__") || part == "builtins")
    });
    let named = NAMES.iter().any(|(known, names)| module == *known && names.contains(&&*global.name));
    MODULES.iter().any(under) || named || by_attribute || global.name.contains("__globals__")
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
