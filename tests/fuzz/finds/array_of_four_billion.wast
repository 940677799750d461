;; by hand: array.new_fixed with 4,294,967,295 operands
(module binary
  "\00\61\73\6d\01\00\00\00\01\07\02\60\00\00\5e\7f\00\03\02\01\00\0a\0d\01"
  "\0b\00\fb\08\01\ff\ff\ff\ff\0f\1a\0b")
