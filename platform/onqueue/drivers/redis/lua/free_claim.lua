-- Take a claim from its owner; a successor that waits for it is pushed.
-- KEYS[1] claims      {onqueue:redis}:claims
-- ARGV[1] claim       its key
-- ARGV[2] desk        names and keys of what ties may change
-- Returns 1 freed, 0 there was none
-- Flags allow-oom
-- Includes _settlement
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
local desk, todo = desk_of(ARGV[2]), {}
free(desk, ARGV[1], claim_of(desk, ARGV[1]).owner, todo)
carry_out(desk, todo)
return 1
