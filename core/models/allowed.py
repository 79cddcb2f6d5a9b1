"""What the files beside a model's weights may say: names of families and of settings, none of which can name code.

Everything that is not listed here is left out of the copy that a worker loads.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FAMILIES = _words("""
    apertus arcee bamba bitnet bloom codegen cohere cohere2 cwm deepseek_v2 deepseek_v3 diffllama doge dots1
    ernie4_5 ernie4_5_moe exaone4 exaone_moe falcon falcon_h1 falcon_mamba flex_olmo gemma gemma2 gemma3
    gemma3_text gemma3n gemma3n_text gemma4 gemma4_text gemma4_unified gemma4_unified_text glm glm4 glm4_moe
    glm4_moe_lite gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss gptj granite granitemoe granitemoehybrid
    granitemoeshared helium hunyuan_v1_dense hunyuan_v1_moe hyperclovax internlm3 jamba lfm2 lfm2_moe llama llama4
    llama4_text mamba mamba2 minicpm3 minimax minimax_m2 ministral ministral3 mistral mixtral nanochat nemotron
    nemotron_h olmo olmo2 olmo3 olmo_hybrid olmoe opt persimmon phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_5
    qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen3_moe qwen3_next seed_oss smollm3 stablelm starcoder2 vaultgemma
""")
"""Values of `model_type` that Hone loads: decoder-only language models whose code ships with transformers."""

SETTINGS = _words("""
    _remove_final_layer_norm activation activation_function activation_sparsity_pattern alibi altup_active_idx
    altup_coef_clip altup_correct_scale altup_num_inputs apply_residual_connection_post_layernorm attention_bias
    attention_chunk_size attention_context_left attention_context_right attention_dropout attention_in_multiplier
    attention_invalid_logits_value attention_k_eq_v attention_logit_cap attention_multiplier attention_out_bias
    attention_out_multiplier attention_softmax_in_fp32 attention_types attn_layer_indices attn_layer_offset
    attn_layer_period attn_logit_softcapping attn_pdrop attn_scale attn_temperature_tuning audio_embed_dim
    audio_soft_tokens_per_image audio_token_id bias block_auto_adjust_ff_dim block_ff_dim block_ffn_dim_multiplier
    block_multiple_of block_size boa_token_id boi_token_id boi_token_index bos_token_id chunk_size
    chunk_size_feed_forward classifier_dropout clip_qkv conf_attention_chunk_size conf_attention_context_left
    conf_attention_context_right conf_attention_logit_cap conf_conv_kernel_size conf_num_attention_heads
    conf_num_hidden_layers conf_reduction_factor conf_residual_weight conv_bias conv_kernel conv_kernel_size
    conv_L_cache decoder_sparse_step depth dim_model_base do_layer_norm_before do_pooling dropout embd_pdrop
    embed_dropout embedding_dropout embedding_multiplier enable_bias enable_moe_block eoa_token_id eoa_token_index
    eod_token_id eoi_token_id eoi_token_index eos_token_id expand expert_layer_offset expert_layer_period ffn_dim
    ffn_hidden_size final_logit_softcapping first_k_dense_replace floor_scale full_attention_interval
    full_attn_alpha_factor full_attn_beta_factor full_attn_idxs global_head_dim gradient_clipping head_dim
    hidden_act hidden_activation hidden_dropout hidden_size hidden_size_per_layer_input hybrid_override_pattern
    image_size image_token_id image_token_index in_channels init_std initializer_range input_feat_size
    input_jitter_noise interleave_moe_layer_step intermediate_size intermediate_size_mlp is_decoder is_moe
    keep_window_size key_multiplier kv_lora_rank lambda_std_dev laurel_rank layer_norm_elementwise_affine
    layer_norm_eps layer_norm_epsilon layer_types layerdrop layers_block_type linear_a_log_max linear_a_log_min
    linear_allow_neg_eigval linear_attn_alpha_factor linear_attn_beta_factor linear_conv_kernel_dim
    linear_dt_init_floor linear_dt_max linear_dt_min linear_key_head_dim linear_num_key_heads
    linear_num_value_heads linear_value_head_dim lm_head_bias lm_head_multiplier logit_scale logits_scaling
    mamba_chunk_size mamba_conv_bias mamba_d_conv mamba_d_head mamba_d_ssm mamba_d_state mamba_dt_init_floor
    mamba_dt_limit mamba_dt_max mamba_dt_min mamba_dt_rank mamba_expand mamba_head_dim mamba_hidden_act
    mamba_n_groups mamba_n_heads mamba_norm_before_gate mamba_num_heads mamba_proj_bias mamba_rms_norm
    mamba_ssm_cache_dtype max_position_embeddings max_window_layers mixer_rms_eps mlp_alpha_factor mlp_beta_factor
    mlp_bias mlp_hidden_act mlp_layer_types mlp_multipliers mlp_only_layers mm_embed_dim mm_posemb_size
    mm_tokens_per_image moe_intermediate_size moe_k moe_latent_size moe_layer_end_index moe_layer_interval
    moe_layer_start_index moe_layers moe_norm_min moe_num_experts moe_num_shared_experts
    moe_shared_expert_intermediate_size moe_shared_expert_overlap moe_topk mtp_hybrid_override_pattern
    mtp_layers_block_type multi_modal_projector_bias multi_query n_ctx n_embd n_embed n_group n_groups n_head
    n_inner n_layer n_positions n_routed_experts n_shared_experts new_decoder_architecture no_rope_layer_interval
    no_rope_layers norm_eps norm_epsilon norm_topk_prob num_attention_heads num_channels num_dense_layers
    num_experts num_experts_per_tok num_global_key_value_heads num_heads num_hidden_layers num_key_value_heads
    num_kv_heads num_kv_shared_layers num_layers num_ln_in_parallel_attn num_local_experts num_mtp_layers
    num_nextn_predict_layers num_position_embeddings num_shared_experts original_max_position_embeddings
    out_hidden_size output_proj_dims output_router_logits pad_token_id parallel_attn partial_rotary_factor
    patch_size pixel_shuffle_ratio pooling_kernel_size position_embedding_size position_embedding_type
    pretraining_tp projector_dropout projector_input_dim projector_output_dim projectors_bias q_lora_rank
    qk_layernorm qk_nope_head_dim qk_rope_head_dim qkv_bias query_pre_attn_scalar reorder_and_upcast_attn
    rescale_prenorm_residual resid_dropout resid_pdrop residual_dropout residual_in_fp32 residual_multiplier
    residual_weight rms_norm_eps rope_interleave rope_local_base_freq rope_theta rotary_dim rotary_emb_base
    rotary_pct routed_scaling_factor router_aux_loss_coef router_jitter_noise scale_attention_softmax_in_fp32
    scale_attn_by_inverse_layer_idx scale_attn_weights scale_depth scale_emb sep_token_id
    shared_expert_intermediate_size shared_intermediate_size sliding_window sliding_window_pattern slow_but_exact
    spatial_merge_size sscp_conv_channel_size sscp_conv_group_norm_eps sscp_conv_kernel_size sscp_conv_stride_size
    ssm_in_multiplier ssm_multipliers ssm_out_multiplier ssm_state_size standardize state_size
    subsampling_conv_channels summary_activation summary_first_dropout summary_proj_to_labels summary_type
    summary_use_proj swiglu_alpha swiglu_limit temporal_patch_size tie_embedding tie_word_embeddings
    time_step_floor time_step_init_scheme time_step_limit time_step_max time_step_min time_step_rank
    time_step_scale top_k_experts topk_group topk_method use_associative_scan use_bias use_bidirectional_attention
    use_cache use_clipped_linears use_conv_bias use_double_wide_mlp use_expert_bias use_falcon_mambapy use_mambapy
    use_parallel_residual use_post_norm use_qk_norm use_qkv_bias use_sliding_window v_head_dim video_token_id
    vision_end_token_id vision_feature_select_strategy vision_output_dim vision_soft_tokens_per_image
    vision_start_token_id vision_use_head vocab_offset vocab_size vocab_size_per_layer_input window_size
    word_embed_proj_dim z_loss_coefficient
""")
"""Keys of config.json that hold a number, a switch, a plain word, or a list of these."""

PARTS = frozenset(("text_config", "vision_config", "audio_config"))
"""Keys of config.json that hold the settings of one part of a model that also sees or hears."""

ROPE_KEYS = ("rope_parameters", "rope_scaling")
ROPE_SETTINGS = _words("""
    attention_factor beta_fast beta_slow chunked_attention factor full_attention high_freq_factor
    llama_4_scaling_beta long_factor low_freq_factor max_position_embeddings mrope_interleaved mrope_section mscale
    mscale_all_dim original_max_position_embeddings partial_rotary_factor rope_theta rope_type short_factor
    sliding_attention truncate type
""")

PART_KINDS = frozenset(("model_type",))

CLASSES = frozenset(("architectures", "tokenizer_class"))
"""Keys that hold names of classes; transformers looks them up among its own."""

DTYPES = frozenset(("float32", "float16", "bfloat16", "auto"))

QUANTIZATIONS = frozenset(("bitsandbytes", "mxfp4"))
QUANTIZATION_SETTINGS = _words("""
    bnb_4bit_compute_dtype bnb_4bit_quant_storage bnb_4bit_quant_type bnb_4bit_use_double_quant
    llm_int8_enable_fp32_cpu_offload llm_int8_has_fp16_weight llm_int8_skip_modules llm_int8_threshold
    load_in_4bit load_in_8bit modules_to_not_convert quant_method
""")

GENERATION_SETTINGS = _words("""
    bad_words_ids begin_suppress_tokens bos_token_id decoder_start_token_id diversity_penalty do_sample
    early_stopping encoder_no_repeat_ngram_size encoder_repetition_penalty eos_token_id epsilon_cutoff eta_cutoff
    forced_bos_token_id forced_eos_token_id length_penalty max_length max_new_tokens min_length min_new_tokens
    min_p no_repeat_ngram_size num_beams pad_token_id remove_invalid_values renormalize_logits repetition_penalty
    suppress_tokens temperature top_k top_p transformers_version typical_p use_cache
""")

TOKENIZER_SETTINGS = _words("""
    add_bos_token add_eos_token add_prefix_space byte_fallback clean_up_tokenization_spaces do_lower_case errors
    is_local legacy model_max_length padding_side spaces_between_special_tokens split_special_tokens strip_accents
    trim_offsets truncation_side use_default_system_prompt
""")

SPECIAL_TOKENS = _words("""
    bos_token eos_token unk_token pad_token sep_token cls_token mask_token boi_token eoi_token image_token
    audio_token boa_token eoa_token video_token vision_bos_token vision_eos_token sot_token eot_token soc_token
    eoc_token str_token etr_token stc_token etc_token std_token etd_token stl_token etl_token think_token
    escape_token additional_special_tokens extra_special_tokens model_specific_special_tokens
""")
"""Keys that hold a token, a list of tokens, or named tokens."""

TOKEN_SETTINGS = frozenset(("content", "lstrip", "normalized", "rstrip", "single_word", "special", "__type"))

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tiktoken.model",
)
"""Files of a tokenizer that only its own parser reads; passed on as they are."""

ADAPTER_SETTINGS = _words("""
    alora_invocation_tokens alpha_pattern bias ensure_weight_tying exclude_modules fan_in_fan_out inference_mode
    init_lora_weights layers_pattern layers_to_transform lora_alpha lora_bias lora_dropout modules_to_save
    peft_type qalora_group_size r rank_pattern target_modules target_parameters task_type trainable_token_indices
    use_dora use_qalora use_rslora
""")
"""Keys of a LoRA adapter's adapter_config.json; every name in their values must be plain, since PEFT reads
some of them as regular expressions."""

ADAPTER_STARTS = frozenset((True, False, "gaussian", "orthogonal"))
"""How a LoRA adapter may have been initialised without having changed its base."""
