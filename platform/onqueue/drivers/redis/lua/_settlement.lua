-- Includes _clock _wake _ready _lanes _postpone _desk _parcel _claims _claim _free _callback _chain _advance _batch _tally _finish _begin _load _post
local function post(desk, parcel, todo)
  if head_of(parcel) == 'job' then return post_job(desk, parcel, todo) end
  local kind, id, key, stage = unpacked(parcel)
  if kind == 'chain' then return begin_chain(desk, key, stage, todo) end
  if kind == 'batch' then return begin_batch(desk, id, key, stage, todo) end
  load_some(desk, parcel, key, stage, todo)
end

local function account(desk, tie, ids, outcome, todo)
  local id = ids[1]
  if outcome == 'entered' then
    if tie.b then enter(desk, tie.b, id, todo) end
    if tie.c then mend(desk, tie.c, id, todo) end
    return
  end
  if tie.u then free(desk, tie.u[1], id, todo) end
  if tie.b then tally(desk, tie.b, ids, outcome, todo) end
  if tie.c then advance(desk, tie.c, id, outcome, todo) end
end

local function carry_out(desk, todo)
  local at, posted = 1, 0
  while todo[at] do
    local task = todo[at]
    if type(task) ~= 'string' then
      if task[2] then account(desk, task[1], task[2], task[3], todo) else finish_batch(desk, task[1], todo) end
    elseif posted < 300 then
      posted = posted + 1
      post(desk, task, todo)
    else
      redis.call('RPUSH', desk.errands, task)
    end
    at = at + 1
  end
end
