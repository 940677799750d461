;; by hand: supertypes and references that lead to themselves or beyond the end
(module binary
  "\00\61\73\6d\01\00\00\00\01\07\01\50\01\00\60\00\00")
(module binary
  "\00\61\73\6d\01\00\00\00\01\0f\01\4e\02\50\01\01\60\00\00\50\01\00\60\00"
  "\00")
(module binary
  "\00\61\73\6d\01\00\00\00\01\0b\01\50\01\ff\ff\ff\ff\0f\60\00\00")
(module binary
  "\00\61\73\6d\01\00\00\00\01\06\01\5f\01\63\00\01")
(module binary
  "\00\61\73\6d\01\00\00\00\01\05\01\5e\64\07\00")
