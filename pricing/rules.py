def explain(by, answer, mine, theirs, unpriced, entries):
    if theirs is not None and mine is not None and unpriced and abs(mine-theirs)<=abs(mine)/10**9: return 'u'
    if by!='litellm' and mine is None and theirs==0: return 'n'
