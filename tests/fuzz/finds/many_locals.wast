;; by hand: billions of locals in a few bytes
(module binary
  "\00\61\73\6d\01\00\00\00\01\04\01\60\00\00\03\02\01\00\0a\0a\01\08\01\ff"
  "\ff\ff\ff\0f\7f\0b")
(module binary
  "\00\61\73\6d\01\00\00\00\01\04\01\60\00\00\03\02\01\00\0a\17\01\15\02\80"
  "\80\80\80\08\7b\ff\ff\ff\ff\07\7e\20\ff\ff\ff\ff\0f\1a\0b")
