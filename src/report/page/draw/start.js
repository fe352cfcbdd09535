// weighbridge: figures are drawn here from typed JSON, by page and report alike.
"use strict";
