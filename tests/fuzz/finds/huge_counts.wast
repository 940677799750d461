;; by hand: every list claims 4,294,967,295 items
(module binary
  "\00\61\73\6d\01\00\00\00\01\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\02\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\03\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\04\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\05\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\06\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\07\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\09\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\0a\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\0b\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\0c\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\0d\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\01\04\01\60\00\00\03\02\01\00\0a\0d\01\0b\00\41"
  "\00\0e\ff\ff\ff\ff\0f\00\0b")
(module binary
  "\00\61\73\6d\01\00\00\00\01\04\01\60\00\00\03\02\01\00\0a\0b\01\09\00\1c"
  "\ff\ff\ff\ff\0f\7f\0b")
(module binary
  "\00\61\73\6d\01\00\00\00\01\04\01\60\00\00\03\02\01\00\0a\0e\01\0c\00\1f"
  "\40\ff\ff\ff\ff\0f\00\00\0b\0b")
(module binary
  "\00\61\73\6d\01\00\00\00\00\0c\04\6e\61\6d\65\01\05\ff\ff\ff\ff\0f")
(module binary
  "\00\61\73\6d\01\00\00\00\00\0f\09\70\72\6f\64\75\63\65\72\73\ff\ff\ff\ff"
  "\0f")
