-- Open a holder's lease or renew it; a holder that was condemned stays so.
-- KEYS[1] holders     {onqueue:redis}:holders
-- ARGV[1] holder      token
-- ARGV[2] offset      ms added to the server's clock (tests)
-- ARGV[3] lease       ms
-- ARGV[4] opening     1 opens, 0 renews
-- Returns 1 done, -1 the lease is lost
-- Flags allow-oom
-- Includes _alive _clock
if ARGV[4] == '0' and not alive(KEYS[1], ARGV[1]) then return -1 end
-- Removing first lets the script pass on a full server older than 7.0.
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms(ARGV[2]) + ARGV[3]), ARGV[1])
return 1
